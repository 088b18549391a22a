import { UsageError } from "../base/errors.ts";
import type { ValueParser } from "../base/value_parsers.ts";

/** The commands; the first may be omitted. */
export const COMMANDS = ["run", "check", "backfill", "tail", "plan", "health"] as const;

export type CommandName = typeof COMMANDS[number];

/** Commands that print a text about the program; they take no flags. */
export const TEXT_COMMANDS = ["completions", "man", "schema"] as const;

export type TextCommandName = typeof TEXT_COMMANDS[number];

/** The groups in which help and the reference list the flags, in this order. */
export const FLAG_CATEGORIES = {
  postgres: "PostgreSQL connection",
  slot: "Replication slot",
  stream: "Kinesis stream",
  changes: "What is published",
  policy: "What to do about problems",
  telemetry: "Monitoring",
  backfill: "Asking for existing rows (pg2kinesis backfill)",
  tail: "Reading a stream back (pg2kinesis tail)",
  plan: "Sharing the work among several runs (pg2kinesis plan)",
  output: "Output of check, backfill, tail and plan",
  program: "Configuration file, log and help",
} as const;

export type FlagCategory = keyof typeof FLAG_CATEGORIES;

/** One flag: everything that parsing, help, the environment and docs/flags.md need. */
export interface Flag<Value> {
  /** Without the dashes. Its environment variable is `PG2KINESIS_` and this in capitals. */
  readonly name: string;
  readonly letter: string | undefined;
  readonly category: FlagCategory;
  /** The commands that accept it. */
  readonly commands: readonly CommandName[];
  /** The name of the value in help; undefined: a switch, which has none. */
  readonly placeholder: string | undefined;
  /** What applies if the flag is not given, in words; undefined: nothing worth saying. */
  readonly defaultText: string | undefined;
  readonly repeatable: boolean;
  /** What the command line, the environment and the file give counts together, in this order. */
  readonly cumulative?: boolean;
  /** Of the table that may stand for a value in a configuration file; joined by `=` they are the value. */
  readonly tableKeys?: readonly string[];
  /** False for the few that act at once, such as `--help`; they have no environment variable. */
  readonly inEnvironment: boolean;
  /** One line of help. */
  readonly short: string;
  /** The reference's paragraph, in Markdown. */
  readonly long: string;
  /** What a shell can offer as the value. */
  readonly suggestions: Suggestions;
  /**
   * Returns the value of what was typed (nothing, once, or several times if repeatable).
   * @throws {UsageError} without the flag's name, which the caller prepends.
   */
  readonly read: (texts: readonly string[]) => Value;
}

/** Words, and whether it may be the name of a file. */
export interface Suggestions {
  readonly words: readonly string[];
  readonly files: boolean;
}

interface FlagWords {
  readonly name: string;
  readonly letter?: string;
  readonly category: FlagCategory;
  /** Default: a run, a check of one, and a plan for several. */
  readonly commands?: readonly CommandName[];
  readonly short: string;
  readonly long: string;
}

const OF_A_RUN: readonly CommandName[] = ["run", "check", "plan"];

interface ValueFlagWords extends FlagWords {
  readonly placeholder: string;
  readonly defaultText?: string;
  /** Default: the words that its parser takes, and files when the placeholder is FILE. */
  readonly suggestions?: Suggestions;
}

const suggestionsOf = (
  { suggestions, placeholder }: ValueFlagWords,
  { words = [] }: ValueParser<unknown>,
): Suggestions => suggestions ?? { words, files: placeholder === "FILE" };

/** A flag without a value: off unless given. */
export function switchFlag(words: FlagWords & { readonly inEnvironment?: boolean }): Flag<boolean> {
  return {
    letter: undefined,
    commands: OF_A_RUN,
    placeholder: undefined,
    defaultText: undefined,
    repeatable: false,
    inEnvironment: true,
    suggestions: { words: [], files: false },
    ...words,
    read: ([text]) => text === undefined ? false : parseSwitch(text),
  };
}

/** A flag with a value, and a default that goes through the same parser. */
export function defaultedFlag<Value>(
  words: ValueFlagWords & {
    readonly defaultText: string;
    readonly parse: ValueParser<Value>;
  },
): Flag<Value> {
  const { parse, ...rest } = words;
  return {
    letter: undefined,
    commands: OF_A_RUN,
    repeatable: false,
    inEnvironment: true,
    ...rest,
    suggestions: suggestionsOf(words, parse),
    read: ([text]) => parse(text ?? words.defaultText),
  };
}

/** A flag with a value; undefined when it is not given. */
export function optionalFlag<Value>(
  words: ValueFlagWords & { readonly parse: ValueParser<Value> },
): Flag<Value | undefined> {
  const { parse, ...rest } = words;
  return {
    letter: undefined,
    commands: OF_A_RUN,
    defaultText: undefined,
    repeatable: false,
    inEnvironment: true,
    ...rest,
    suggestions: suggestionsOf(words, parse),
    read: ([text]) => text === undefined ? undefined : parse(text),
  };
}

/** A flag that may be given several times; its variable holds the values separated by commas. */
export function listFlag<Value>(
  words: ValueFlagWords & Pick<Flag<Value>, "cumulative" | "tableKeys"> & {
    readonly parse: ValueParser<Value>;
    /** The only one where none is given; undefined: then there is none. */
    readonly otherwise?: string;
  },
): Flag<readonly Value[]> {
  const { parse, otherwise, ...rest } = words;
  return {
    letter: undefined,
    commands: OF_A_RUN,
    defaultText: undefined,
    repeatable: true,
    inEnvironment: true,
    ...rest,
    suggestions: suggestionsOf(words, parse),
    read: (texts) =>
      (texts.length === 0 && otherwise !== undefined ? [otherwise] : texts).map((text) =>
        parse(text)
      ),
  };
}

/** The variable that stands for a flag: `pg-host` is `PG2KINESIS_PG_HOST`. */
export function environmentName(flag: { readonly name: string }): string {
  return "PG2KINESIS_" + flag.name.toUpperCase().replaceAll("-", "_");
}

const ON = ["true", "1", "yes", "on"];
const OFF = ["false", "0", "no", "off"];

/** Whether a text can be a switch's value. */
export const isOnOrOff = (text: string): boolean => [...ON, ...OFF].includes(text.toLowerCase());

function parseSwitch(text: string): boolean {
  const word = text.toLowerCase();
  if (ON.includes(word)) return true;
  if (OFF.includes(word)) return false;
  throw new UsageError(`${JSON.stringify(text)} is neither on nor off; write true or false`);
}

/** The same flags, which one more command knows. */
export function alsoOf<Flags extends Readonly<Record<string, Flag<unknown>>>>(
  command: CommandName,
  flags: Flags,
): Flags {
  return Object.fromEntries(
    Object.entries(flags).map(([id, flag]) => [
      id,
      { ...flag, commands: [...flag.commands, command] },
    ]),
  ) as unknown as Flags;
}
