/** What is asked for, as far as a server without bodies, names and sessions needs it. */
export interface HttpRequest {
  readonly method: string;
  /** Path and query, as they stand in a URL behind the host. */
  readonly target: string;
  /**
   * Host name or address without its port, in small letters, an IPv6 address without brackets. Undefined:
   * HTTP/1.0, which need not name one; health checks of load balancers do not.
   */
  readonly host: string | undefined;
}

const REQUEST_LINE = /^([A-Z]+) (\S+) HTTP\/1\.([01])$/;
const HEADER = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*$/;
const HOST = /^(?:\[([0-9a-f:.]+)\]|([^:@/?#[\]\s]+))(?::\d{0,5})?$/i;

/**
 * Reads a request's head, without the empty line behind it (RFC 9112).
 * @throws {SyntaxError} when it is none, or is HTTP/1.1 without a host, or has more than one.
 */
export function readHead(head: string): HttpRequest {
  const [first, ...lines] = head.split(/\r?\n/);
  const request = REQUEST_LINE.exec(first!);
  if (request === null) throw new SyntaxError("this is no request of HTTP/1.1");
  const hosts: string[] = [];
  for (const line of lines) {
    const header = HEADER.exec(line);
    if (header === null) throw new SyntaxError("a header is not NAME: VALUE");
    if (header[1]!.toLowerCase() === "host") hosts.push(header[2]!);
  }
  const [, method, given, minor] = request;
  // As proxies are asked; its host is the one that counts.
  const absolute = /^https?:\/\/([^/?#]*)(.*)$/i.exec(given!);
  const target = absolute === null ? given! : absolute[2] || "/";
  if (!target.startsWith("/")) throw new SyntaxError("the request names no path");
  const isHostOptional = minor === "0" && hosts.length === 0;
  if (hosts.length !== 1 && !isHostOptional) {
    throw new SyntaxError("a request needs one header Host");
  }
  const named = absolute?.[1] ?? hosts[0];
  if (named === undefined) return { method: method!, target, host: undefined };
  const host = HOST.exec(named);
  if (host === null) throw new SyntaxError("the header Host is no HOST or HOST:PORT");
  return { method: method!, target, host: (host[1] ?? host[2]!).toLowerCase().replace(/\.$/, "") };
}

const ADDRESS = /^(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-f.]*:[0-9a-f:.]*)$/;

/**
 * Whether a page in a browser cannot have pretended the host: an attacker's name may come to mean this
 * machine (DNS rebinding), but the browser still sends that name. Addresses and the names of the
 * loopback cannot be taken over; any other is the operator's to say.
 */
export function isOwnHost(host: string, names: readonly string[]): boolean {
  if (ADDRESS.test(host)) return true;
  if (host === "localhost" || host.endsWith(".localhost")) return true;
  return names.some((name) => name.toLowerCase().replace(/\.$/, "") === host);
}
