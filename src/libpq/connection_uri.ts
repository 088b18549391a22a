import { UsageError } from "../base/errors.ts";
import { LIBPQ_SETTINGS } from "./libpq_settings.ts";

/**
 * Takes a libpq connection URI apart into libpq's keywords; nothing is filled in.
 *
 *     postgresql://[user[:password]@][host[:port]][,…][/dbname][?keyword=value&…]
 *
 * As libpq reads it (https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS),
 * except that a raw `@` behind the user is refused: it comes from a password whose @ or / is not
 * percent-encoded, and its rest would turn up in messages as the host's or the database's name.
 * @throws {UsageError} which shows no part of the URI but the name of a query parameter.
 */
export function parseConnectionUri(uri: string): Map<string, string> {
  const settings = new Map<string, string>();
  const store = (keyword: string, encoded: string) => {
    if (encoded !== "") settings.set(keyword, decode(encoded, keyword));
  };

  let rest = /^postgres(?:ql)?:\/\/(.*)$/s.exec(uri)?.[1];
  if (rest === undefined) {
    throw new UsageError("is not a connection URL; it begins with postgresql:// or postgres://");
  }

  const credentials = /^([^@/]*)@/s.exec(rest)?.[1];
  if (credentials !== undefined) {
    const [user, password] = cut(credentials, ":");
    store("user", user);
    store("password", password ?? "");
    rest = rest.slice(credentials.length + 1);
  }

  const { hosts, ports, end } = parseHosts(rest);
  const [path, query] = cut(rest.slice(end), "?");
  if (/@/.test(rest.slice(0, end)) || /@/.test(path)) throw new UsageError(UNENCODED);
  for (const port of ports) {
    if (!/^\d*$/.test(port)) throw new UsageError(`has a port that is not a number; ${ENCODE}`);
  }
  store("host", hosts.join(","));
  store("port", ports.join(","));
  store("dbname", path.slice(1));
  if (query !== undefined && query !== "") parseQuery(query, settings);
  return settings;
}

const ENCODE = "in a password write %40 for @, %2F for /, %3A for :, %25 for %";
const UNENCODED = `has an @ after its host; ${ENCODE}`;

/** `host:port,[::1]:port,…`, up to the `/` or `?` behind it. */
function parseHosts(text: string): { hosts: string[]; ports: string[]; end: number } {
  const hosts: string[] = [];
  const ports: string[] = [];
  const pattern = /(?:\[([^\]]*)\]|([^:/?,[][^:/?,]*|))(?::([^/?,]*))?/sy;
  let end = 0;
  for (;;) {
    pattern.lastIndex = end;
    const [all, address, name, port] = pattern.exec(text)!;
    if (address === "") throw new UsageError("has an empty IPv6 address");
    hosts.push(address ?? name ?? "");
    ports.push(port ?? "");
    end += all.length;
    if (text[end] !== ",") break;
    end++;
  }
  if (end < text.length && text[end] !== "/" && text[end] !== "?") {
    throw new UsageError(
      text[end] === "[" ? "has an IPv6 address without its ]" : "has text after an IPv6 address",
    );
  }
  return { hosts, ports, end };
}

function parseQuery(query: string, settings: Map<string, string>): void {
  // With an @ in it the "query" may be the rest of a password with an unencoded ? or /.
  const show = (keyword: string) => query.includes("@") ? "" : `: ${JSON.stringify(keyword)}`;
  // libpq does not mind a last & with nothing behind it.
  for (const part of query.replace(/&$/, "").split("&")) {
    const [rawKeyword, rawValue, ...more] = part.split("=");
    if (rawValue === undefined || more.length > 0) {
      throw new UsageError(
        `has a query parameter that is not keyword=value${show(rawKeyword ?? "")}`,
      );
    }
    let keyword = decode(rawKeyword!, "a query parameter's name");
    let value = decode(rawValue, show(keyword) === "" ? "a query parameter" : keyword);
    // Both as libpq has them: from JDBC, and from before 7.4.
    if (keyword === "ssl" && value === "true") [keyword, value] = ["sslmode", "require"];
    if (keyword === "requiressl") {
      [keyword, value] = ["sslmode", value.startsWith("1") ? "require" : "prefer"];
    }
    if (!LIBPQ_SETTINGS.has(keyword)) {
      throw new UsageError(`has an invalid URI query parameter${show(keyword)}`);
    }
    settings.set(keyword, value);
  }
}

/** Percent-decoding as libpq does it: `+` stays, `%00` and half a token are refused. */
function decode(text: string, what: string): string {
  if (!text.includes("%")) return text;
  if (/%(?![0-9A-Fa-f]{2})/.test(text)) {
    throw new UsageError(`has a % that is not followed by two hexadecimal digits, in ${what}`);
  }
  if (text.includes("%00")) throw new UsageError(`has the forbidden %00 in ${what}`);
  try {
    return decodeURIComponent(text);
  } catch {
    throw new UsageError(`has percent-encoded bytes that are not UTF-8, in ${what}`);
  }
}

/** The text before the first separator and the text behind it, if there is one. */
function cut(text: string, separator: string): [string, string | undefined] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + separator.length)];
}
