import { getLogger } from "@logtape/logtape";
import { whyUnreadable } from "../base/why_unreadable.ts";
import { isSocketFolder } from "./tls.ts";

const logger = getLogger(["pg2kinesis", "postgres"]);

/** What a line of the password file is chosen by. */
export interface Login {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
}

/**
 * Looks the password up in libpq's password file,
 * https://www.postgresql.org/docs/current/libpq-pgpass.html; undefined when there is none. A file
 * that others may read is not used, with a warning, as in libpq.
 * (npm:pgpass takes no path, writes to stderr by itself and skips lines of fewer than 11 characters.)
 */
export async function passwordFromFile(
  login: Login,
  path: string | undefined = defaultPath(),
): Promise<string | undefined> {
  if (path === undefined) return undefined;
  let text: string;
  try {
    const { isFile, mode } = await Deno.stat(path);
    if (!isFile) {
      logger.warn("the password file {path} is not a plain file; it is not used", { path });
      return undefined;
    }
    if (Deno.build.os !== "windows" && mode !== null && (mode & 0o077) !== 0) {
      logger.warn(
        "the password file {path} can be read by others; it is not used until you run chmod 0600 {path}",
        { path },
      );
      return undefined;
    }
    text = await Deno.readTextFile(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) {
      logger.warn("cannot read the password file {path}: {error}", {
        path,
        error: whyUnreadable(error),
      });
    }
    return undefined;
  }
  return findPassword(text, login);
}

/** The password of the first line that matches. */
export function findPassword(text: string, login: Login): string | undefined {
  const wanted = [[...hostNames(login.host)], [String(login.port)], [login.database], [login.user]];
  for (const line of text.split(/\r?\n/)) {
    if (line.startsWith("#")) continue;
    const fields = splitFields(line);
    const password = fields[4];
    if (password === undefined || password === "") continue;
    const matches = wanted.every((names, index) =>
      fields[index] === "*" || names.includes(unescape(fields[index]!))
    );
    if (matches) return unescape(password);
  }
  return undefined;
}

/** libpq looks up the socket in its default folder as `localhost`. */
function* hostNames(host: string): Generator<string> {
  yield host;
  if (isSocketFolder(host)) yield "localhost";
}

/** Splits at colons that no backslash escapes; escapes stay. */
function splitFields(line: string): string[] {
  return line.match(/(?:^|:)(?:[^\\:]|\\.?)*/g)?.map((field, index) =>
    index === 0 ? field : field.slice(1)
  ) ?? [];
}

function unescape(field: string): string {
  return field.replace(/\\(.)/g, "$1");
}

function defaultPath(): string | undefined {
  if (Deno.build.os === "windows") {
    const folder = Deno.env.get("APPDATA");
    return folder && `${folder}\\postgresql\\pgpass.conf`;
  }
  const home = Deno.env.get("HOME");
  return home && `${home}/.pgpass`;
}
