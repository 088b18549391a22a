import { parseArgs as untypedParseArgs } from "@std/cli/parse-args";
import { UsageError } from "../errors.ts";
import { didYouMean, nearest } from "../did_you_mean.ts";
import {
  type CommandName,
  COMMANDS,
  environmentName,
  type Flag,
  TEXT_COMMANDS,
  type TextCommandName,
} from "./flag.ts";
import { type FlagId, flagIds, flags } from "./flags.ts";

/** The part of `@std/cli/parse-args` that is used here; the npm copy comes without types. */
const parseArgs = untypedParseArgs as (
  args: readonly string[],
  options: {
    readonly string: readonly string[];
    readonly collect: readonly string[];
    /** Called for every unknown flag (with its key) and every positional; false drops it. */
    readonly unknown: (argument: string, key?: string) => boolean;
  },
) => Readonly<Record<string, readonly string[] | undefined>>;

/** What the command line says, taken apart but not yet read as values. */
export interface Arguments {
  readonly command: CommandName | TextCommandName;
  /** What stands behind a command that prints a text. */
  readonly operands: readonly string[];
  /** Only of flags that were given. */
  readonly texts: ReadonlyMap<FlagId, readonly string[]>;
  /** The first thing that is wrong with the rest; `--help` is answered before it is raised. */
  readonly fault: UsageError | undefined;
}

const idByName = new Map<string, FlagId>(flagIds.map((id) => [flags[id].name, id]));
const idByLetter = new Map<string, FlagId>();
for (const id of flagIds) {
  const letter = flags[id].letter;
  if (letter !== undefined) idByLetter.set(letter, id);
}

const names = [...idByName.keys()];

/** Takes a command line apart. Faults are collected, so that help can be had beside them. */
export function takeApart(args: readonly string[]): Arguments {
  let fault: UsageError | undefined;
  const blame = (message: string) => void (fault ??= new UsageError(message));
  const positionals: string[] = [];

  const found = parseArgs(spellOut(args, blame), {
    string: ["_", ...names],
    collect: names,
    unknown: (argument, key) => {
      if (key === undefined) positionals.push(argument);
      else blame(unknownFlag(argument));
      return false;
    },
  });

  // What stands after `--` does not pass by `unknown`.
  positionals.push(...found["_"] ?? []);
  const [named] = positionals;
  const textCommand = TEXT_COMMANDS.find((command) => command === named);
  const command = COMMANDS.find((command) => command === named) ?? COMMANDS[0];

  const texts = new Map<FlagId, readonly string[]>();
  for (const id of flagIds) {
    const flag: Flag<unknown> = flags[id];
    const given = found[flag.name] ?? [];
    if (given.length > 1 && !flag.repeatable) {
      blame(`--${flag.name} is given ${given.length === 2 ? "twice" : `${given.length} times`}`);
    }
    // The original documents an empty host as the local one.
    if (given.includes("") && id !== "pgHost") blame(needsValue(flag));
    const kept = given.filter((text) => text !== "");
    if (kept.length === 0) continue;
    texts.set(id, kept);
    if (textCommand === undefined) {
      if (!flag.commands.includes(command)) blame(strange(flag, command));
    } else if (flag.inEnvironment) blame(strange(flag, textCommand));
  }
  if (textCommand !== undefined) {
    return { command: textCommand, operands: positionals.slice(1), texts, fault };
  }
  positionals.forEach((positional, index) => {
    if (index > 0 || command !== positional) blame(unexpected(positional, index));
  });
  return { command, operands: [], texts, fault };
}

/**
 * Gives each flag in the one form that parseArgs reads without guessing: `-dshop`, `-d=shop` and
 * `-d shop` as `--pg-dbname=shop`, `--full-change` and `--no-full-change` as `--full-change=true`
 * and `=false`.
 */
function spellOut(args: readonly string[], blame: (message: string) => void): string[] {
  const spelled: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const argument = args[i]!;
    if (argument === "--") return [...spelled, ...args.slice(i)];
    const { name, letter, rest } =
      /^(?:--(?<name>[^=]+)|-(?<letter>[^-=]))(?<rest>.*)$/s.exec(argument)?.groups ?? {};
    const id = idByName.get(name ?? "") ?? idByLetter.get(letter ?? "");
    if (id === undefined) {
      const off = idByName.get(/^--no-(.+)$/.exec(argument)?.[1] ?? "");
      spelled.push(off !== undefined && isSwitch(off) ? `--${flags[off].name}=false` : argument);
      continue;
    }
    let value = rest === "" || rest === undefined ? undefined : rest.replace(/^=/, "");
    if (value === undefined && isSwitch(id)) value = "true";
    const next = args[i + 1];
    if (value === undefined && next !== undefined && !/^-./s.test(next)) {
      value = next;
      i++;
    }
    if (value === undefined) blame(needsValue(flags[id]));
    else spelled.push(`--${flags[id].name}=${value}`);
  }
  return spelled;
}

const isSwitch = (id: FlagId) => flags[id].placeholder === undefined;

function needsValue(flag: Flag<unknown>): string {
  const letter = flag.letter === undefined ? "" : `-${flag.letter}, `;
  const hint = flag.letter === "h"
    ? "; help is --help"
    : flag.name === "table-pat"
    ? "; one that begins with - is written --table-pat=-…"
    : "";
  return `${letter}--${flag.name} needs a value: --${flag.name} ${
    flag.placeholder ?? "true"
  }${hint}`;
}

function unknownFlag(argument: string): string {
  // Never more than the name: what stands behind `=` may be a password.
  const given = /^-[^-]/.test(argument) ? argument.slice(0, 2) : argument.replace(/=.*$/s, "");
  if (/^--(pg-)?password$/.test(given) || given === "-W") {
    return `${given} does not exist, since every user of the machine can read a command line; put ` +
      "the password into PGPASSWORD or ~/.pgpass";
  }
  return `there is no flag ${given}${didYouMean(nearestFlag(given))}`;
}

/** What psql and the AWS tools call things. */
const OTHER_NAMES: Readonly<Record<string, string>> = {
  username: "pg-user",
  database: "pg-dbname",
  url: "pg-url",
  dsn: "pg-url",
  slot: "pg-slot-name",
  stream: "stream-name",
  format: "message-formatter",
  plugin: "pg-slot-output-plugin",
  "output-plugin": "pg-slot-output-plugin",
};

/** The flag that a mistyped one most likely stands for, if there is one. */
export function nearestFlag(given: string): string | undefined {
  if (/^-[^-]/.test(given)) {
    const id = idByLetter.get(given[1]!.toLowerCase());
    return id === undefined ? undefined : `-${flags[id].letter} (--${flags[id].name})`;
  }
  const name = given.replace(/^--/, "").replaceAll("_", "-").toLowerCase();
  const found = OTHER_NAMES[name] ?? names.find((each) => each.endsWith("-" + name)) ??
    nearest(name, names) ?? (name.startsWith("no-") ? nearest(name.slice(3), names) : undefined);
  return found === undefined ? undefined : `--${found}`;
}

function strange(flag: Flag<unknown>, command: CommandName | TextCommandName): string {
  const own = flag.commands.map((name) => `pg2kinesis ${name}`).join(" and ");
  return `--${flag.name} is no flag of pg2kinesis ${command}, but of ${own}`;
}

function unexpected(positional: string, index: number): string {
  if (/^[a-z]+:\/\//i.test(positional)) return "a connection URL goes into --pg-url";
  if (index > 0) return `unexpected argument ${JSON.stringify(positional)}`;
  if (positional === "help") return 'unknown command "help"; did you mean --help?';
  const all = [...COMMANDS, ...TEXT_COMMANDS];
  const near = didYouMean(nearest(positional, all));
  return `unknown command ${JSON.stringify(positional)}${
    near === "" ? "; there" : `${near} There`
  } ` +
    `are ${all.join(", ")}, of which ${COMMANDS[0]} may be left out`;
}

/** The texts that the environment has for a flag; a variable that is empty counts as not set. */
export function environmentTexts(
  flag: Flag<unknown>,
  env: Readonly<Record<string, string | undefined>>,
): readonly string[] {
  const text = flag.inEnvironment ? env[environmentName(flag)] : undefined;
  if (text === undefined || text === "") return [];
  if (!flag.repeatable) return [text];
  return text.split(/[,\n]/).map((part) => part.trim()).filter((part) => part !== "");
}
