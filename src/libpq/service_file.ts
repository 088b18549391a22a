import { UsageError } from "../base/errors.ts";
import { whyUnreadable } from "../base/why_unreadable.ts";
import type { Machine } from "./machine.ts";
import { LIBPQ_SETTINGS } from "./libpq_settings.ts";

/** Where Debian's and the PostgreSQL project's packages look when `PGSYSCONFDIR` is not set. */
const SYSTEM_FOLDERS = ["/etc/postgresql-common", "/etc/sysconfig/pgsql"];

/**
 * The settings of a service, from the file that is named, else `~/.pg_service.conf`, else the
 * system's: https://www.postgresql.org/docs/current/libpq-pgservice.html
 */
export function findService(
  service: string,
  where: {
    readonly file: string | undefined;
    readonly home: string | undefined;
    readonly systemFolder: string | undefined;
  },
  host: Machine,
): Map<string, string> {
  const tried: string[] = [];
  const read = (path: string) => {
    tried.push(path);
    const text = contents(path, host);
    return text === undefined ? undefined : parseServiceFile(text, service, path);
  };
  if (where.file !== undefined) {
    if (!host.exists(where.file)) {
      throw new UsageError(`the service file ${where.file} was not found; see PGSERVICEFILE`);
    }
    const found = read(where.file);
    if (found !== undefined) return found;
  } else if (where.home !== undefined) {
    const found = read(`${where.home}/.pg_service.conf`);
    if (found !== undefined) return found;
  }
  const folders = where.systemFolder === undefined ? SYSTEM_FOLDERS : [where.systemFolder];
  for (const folder of folders) {
    const found = read(`${folder}/pg_service.conf`);
    if (found !== undefined) return found;
  }
  throw new UsageError(
    `the service ${JSON.stringify(service)} (PGSERVICE) was not found in ${tried.join(", ")}`,
  );
}

function contents(path: string, host: Machine): string | undefined {
  try {
    return host.readTextFile(path);
  } catch (error) {
    throw new UsageError(`the service file ${path} cannot be read: ${whyUnreadable(error)}`);
  }
}

/** One service's section of a service file; undefined when the file does not have it. */
export function parseServiceFile(
  text: string,
  service: string,
  path: string,
): Map<string, string> | undefined {
  let settings: Map<string, string> | undefined;
  for (const [index, rawLine] of text.split("\n").entries()) {
    const line = rawLine.trim();
    const blame = (what: string) => new UsageError(`${path}, line ${index + 1}: ${what}`);
    if (line === "" || line.startsWith("#")) continue;
    if (line.startsWith("[")) {
      if (settings !== undefined) return settings;
      if (line.startsWith(`[${service}]`)) settings = new Map();
      continue;
    }
    if (settings === undefined) continue;
    if (line.startsWith("ldap")) throw blame("a service kept in LDAP is not supported");
    const at = line.indexOf("=");
    const keyword = line.slice(0, at);
    if (at < 0) throw blame("syntax error; a line is keyword=value");
    if (keyword === "service" || keyword === "servicefile") {
      throw blame("a service cannot name another one");
    }
    if (!LIBPQ_SETTINGS.has(keyword)) {
      throw blame(`there is no connection parameter ${JSON.stringify(keyword)}`);
    }
    // The first one counts, as in libpq.
    if (!settings.has(keyword)) settings.set(keyword, line.slice(at + 1));
  }
  return settings;
}
