import { BlockList, isIP } from "node:net";
import { RunError } from "../base/errors.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

/** A proxy as the environment names it. */
export interface Proxy {
  /** `http://proxy.example.com:3128`: without user and password. */
  readonly url: string;
  readonly basicAuth: { readonly username: string; readonly password: string } | undefined;
  /** The variable that names it. */
  readonly variable: string;
}

/** What Deno's HTTP client speaks to a proxy. */
const SCHEMES = ["http:", "https:", "socks5:", "socks5h:"];

/**
 * The proxy that requests to `target` go through, by HTTPS_PROXY or HTTP_PROXY (by the scheme of the
 * target), else ALL_PROXY, unless NO_PROXY names the target; each in capitals or, where that is not
 * set, in small letters. As in curl and the AWS CLI; Deno itself ignores what it cannot read, and asks
 * ALL_PROXY first.
 * @throws {RunError} where the variable names no proxy.
 */
export function proxyFor(target: URL, env: Environment): Proxy | undefined {
  const own = target.protocol === "https:" ? "HTTPS_PROXY" : "HTTP_PROXY";
  const found = setting(env, own) ?? setting(env, "ALL_PROXY");
  if (found === undefined) return undefined;
  if (isExempt(target, setting(env, "NO_PROXY")?.value ?? "")) return undefined;
  return parseProxy(found.name, found.value);
}

/** @throws {RunError} where a variable names no proxy, whatever is asked later. */
export function checkProxies(env: Environment): void {
  for (const name of ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"]) {
    const found = setting(env, name);
    if (found !== undefined) parseProxy(found.name, found.value);
  }
}

function setting(env: Environment, name: string): { name: string; value: string } | undefined {
  for (const each of [name, name.toLowerCase()]) {
    const value = env[each]?.trim();
    if (value) return { name: each, value };
  }
  return undefined;
}

function parseProxy(variable: string, text: string): Proxy {
  const withScheme = text.includes("://") ? text : `http://${text}`;
  const url = URL.canParse(withScheme) ? new URL(withScheme) : undefined;
  // The value may hold a password: it is not repeated.
  if (url === undefined || !SCHEMES.includes(url.protocol) || url.hostname === "") {
    throw new RunError(
      `${variable} names no proxy; write it like http://proxy.example.com:3128 (http, https or socks5)`,
    );
  }
  // A port that is the scheme's usual one is not in `host`, and 80 is no usual one for a proxy.
  const port = url.port || { "http:": "80", "https:": "443" }[url.protocol] || "1080";
  const { username, password } = url;
  return {
    url: `${url.protocol}//${url.hostname}:${port}`,
    basicAuth: username === "" && password === ""
      ? undefined
      : { username: decode(username), password: decode(password) },
    variable,
  };
}

/** A password with a bare `%` is meant as it stands. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/**
 * Whether NO_PROXY names the target: by `*`, an address, a network (`10.0.0.0/8`), a domain (itself and
 * all below it, with or without `.` or `*.` before it); each may have a port.
 */
function isExempt({ hostname, port, protocol }: URL, list: string): boolean {
  const host = withoutBrackets(hostname.toLowerCase()).replace(/\.$/, "");
  const targetPort = port || (protocol === "https:" ? "443" : "80");
  for (const entry of list.toLowerCase().split(/[\s,]+/)) {
    if (entry === "") continue;
    if (entry === "*") return true;
    const [name, entryPort] = splitPort(entry);
    if (entryPort !== undefined && entryPort !== targetPort) continue;
    if (isIP(host) !== 0) {
      if (holdsAddress(name, host)) return true;
      continue;
    }
    const domain = name.replace(/^\*?\./, "").replace(/\.$/, "");
    if (domain !== "" && (host === domain || host.endsWith(`.${domain}`))) return true;
  }
  return false;
}

function splitPort(entry: string): [name: string, port: string | undefined] {
  const match = /^(\[.*\]|[^:]*):(\d+)$/.exec(entry);
  return match === null
    ? [withoutBrackets(entry), undefined]
    : [withoutBrackets(match[1]!), match[2]];
}

function withoutBrackets(host: string): string {
  return host.replace(/^\[(.*)\]$/, "$1");
}

function holdsAddress(entry: string, address: string): boolean {
  const [network = "", bits] = entry.split("/");
  const family = isIP(network);
  if (family === 0 || family !== isIP(address)) return false;
  const type = family === 6 ? "ipv6" : "ipv4";
  const width = family === 6 ? 128 : 32;
  const prefix = bits === undefined ? width : Number(bits);
  if (!Number.isInteger(prefix) || prefix < 0 || prefix > width) return false;
  const networks = new BlockList();
  networks.addSubnet(network, prefix, type);
  return networks.check(address, type);
}
