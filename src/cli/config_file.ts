import { parse as parseToml, TomlDate, TomlError } from "smol-toml";
import { didYouMean, nearest } from "../base/did_you_mean.ts";
import { UsageError } from "../base/errors.ts";
import { whyUnreadable } from "../base/why_unreadable.ts";
import { ELSEWHERE, idByName, nearestFlag } from "./arguments.ts";
import type { Flag } from "./flag.ts";
import { type FlagId, flags, MASK_SALT_VARIABLE } from "./flags.ts";
import type { Machine } from "../libpq/machine.ts";

/** What a configuration file says: of each flag that it names the texts that could stand on a command line. */
export interface ConfigFile {
  readonly path: string;
  readonly texts: ReadonlyMap<FlagId, readonly string[]>;
}

/**
 * Reads a configuration file (TOML), whose keys are named like the flags.
 * @throws {UsageError} one line that names the file and shows none of its values.
 */
export function readConfigFile(path: string, host: Machine): ConfigFile {
  let text: string | undefined;
  try {
    text = host.readTextFile(path);
  } catch (error) {
    throw new UsageError(`the configuration file ${path} cannot be read: ${whyUnreadable(error)}`);
  }
  if (text === undefined) throw new UsageError(`there is no configuration file ${path}`);
  return parseConfigFile(text, path);
}

export function parseConfigFile(text: string, path: string): ConfigFile {
  const blame = (what: string) => new UsageError(`${path}: ${what}`);
  // What is no UTF-8 was read as this character; a table's name would match nothing.
  const odd = text.indexOf("\uFFFD");
  if (odd >= 0) {
    throw blame(
      `line ${text.slice(0, odd).split("\n").length} is not UTF-8; save the file as UTF-8`,
    );
  }
  const texts = new Map<FlagId, readonly string[]>();
  for (const [key, value] of Object.entries(parsed(text, path))) {
    const id = idByName.get(key);
    if (id === undefined) throw blame(unknownKey(key, value));
    const flag: Flag<unknown> = flags[id];
    if (!flag.inEnvironment || id === "config") {
      throw blame(`${key} works on the command line only`);
    }
    try {
      const all = textsOf(flag, value);
      if (all.length > 0) texts.set(id, all);
    } catch (error) {
      throw error instanceof UsageError ? blame(`${key}: ${error.message}`) : error;
    }
  }
  return { path, texts };
}

function parsed(text: string, path: string): Record<string, unknown> {
  try {
    return parseToml(text.replace(/^\uFEFF/, ""), { integersAsBigInt: true });
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    // Behind the first line stand the file's own lines, which may hold a password.
    const [first] = error.message.split("\n", 1);
    const reason = first!.replace(/^Invalid TOML document: /, "");
    throw new UsageError(
      `${path}, line ${error.line}, column ${error.column}: not TOML: ${reason}; a line is like ` +
        'stream-name = "orders"',
    );
  }
}

function unknownKey(key: string, value: unknown): string {
  const shown = JSON.stringify(key);
  if (/^(pg-?)?pass(word|wort|wd|phrase)?$/i.test(key)) {
    return `there is no key ${shown}; put the password into PGPASSWORD or ~/.pgpass`;
  }
  if (key === "mask-salt") return `there is no key ${shown}; the salt is in ${MASK_SALT_VARIABLE}`;
  if (/^aws[-_]/i.test(key)) {
    return `there is no key ${shown}; AWS's settings come from its own variables and ~/.aws`;
  }
  const elsewhere = ELSEWHERE[`--${key}`];
  if (elsewhere !== undefined) return `there is no key ${shown}: ${elsewhere}`;
  if (isTable(value)) return `there is no section [${key}]; a file has no sections`;
  const near = nearestFlag(key.length === 1 ? `-${key}` : `--${key}`)?.replace(/^.*--/, "").replace(
    /\)$/,
    "",
  );
  return `there is no key ${shown}${didYouMean(near)}`;
}

function textsOf(flag: Flag<unknown>, value: unknown): readonly string[] {
  if (!Array.isArray(value)) return [textOf(flag, value)];
  if (!flag.repeatable) throw new UsageError("takes one value, found a list");
  return value.map((each) => textOf(flag, each));
}

function textOf(flag: Flag<unknown>, value: unknown): string {
  if (flag.tableKeys !== undefined && isTable(value)) return tableText(flag.tableKeys, value);
  if (typeof value === "boolean") {
    if (flag.placeholder === undefined) return String(value);
    throw new UsageError(`needs a value (${flag.placeholder}), found ${value}`);
  }
  if (typeof value === "bigint" || typeof value === "number") return String(value);
  if (value instanceof TomlDate) return value.toISOString();
  if (typeof value !== "string") {
    throw new UsageError(`takes a text, a number, true or false, found a table or a list`);
  }
  // As on the command line; the original documents an empty host as the local one.
  if (value === "" && flag.name !== "pg-host") throw new UsageError("needs a value, found none");
  return value;
}

/** `[[route]] pattern = "a", stream = "b"` as `a=b`. */
function tableText(keys: readonly string[], table: Readonly<Record<string, unknown>>): string {
  for (const key of Object.keys(table)) {
    if (keys.includes(key)) continue;
    const isFlags = idByName.has(key) || idByName.has(key.toLowerCase());
    throw new UsageError(
      `there is no key ${JSON.stringify(key)} in it` +
        (isFlags
          ? "; what follows a [[table]] belongs to it, so write that line above the first one"
          : didYouMean(nearest(key, keys))),
    );
  }
  return keys.map((key) => {
    const value = table[key];
    // What is joined is taken apart at the last one.
    if (key !== keys[0] && typeof value === "string" && value.includes("=")) {
      throw new UsageError(`${key} cannot hold a =, found ${JSON.stringify(value)}`);
    }
    if (typeof value === "string" && value !== "") return value;
    throw new UsageError(
      value === undefined ? `the key ${key} is missing` : `${key} needs a text that is not empty`,
    );
  }).join("=");
}

function isTable(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) &&
    !(value instanceof TomlDate);
}
