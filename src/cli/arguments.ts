import { UsageError } from "../base/errors.ts";
import { didYouMean, nearest } from "../base/did_you_mean.ts";
import {
  type CommandName,
  COMMANDS,
  environmentName,
  type Flag,
  isOnOrOff,
  TEXT_COMMANDS,
  type TextCommandName,
} from "./flag.ts";
import { type FlagId, flagIds, flags } from "./flags.ts";

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

/** The flags by their names. */
export const idByName: ReadonlyMap<string, FlagId> = new Map(
  flagIds.map((id) => [flags[id].name, id]),
);

/** The letters that a command knows: `-f` is one flag of a run and another of `tail`. */
type Letters = ReadonlyMap<string, FlagId>;

const lettersOf = (command: CommandName): Letters =>
  new Map(flagIds.flatMap((id): [string, FlagId][] => {
    const { letter, commands }: Flag<unknown> = flags[id];
    return letter !== undefined && commands.includes(command) ? [[letter, id]] : [];
  }));

/** A letter that a command does not know is another's: the fault names the flag. */
const allLetters: Letters = new Map(
  COMMANDS.toReversed().flatMap((command) => [...lettersOf(command)]),
);

/** Parses a command line. Faults are collected, so that help works in spite of them. */
export function takeApart(args: readonly string[]): Arguments {
  // Which letters count depends on the command, which may stand behind them.
  const taken = takeApartFor(COMMANDS[0], args);
  const command = COMMANDS.find((command) => command === taken.command);
  return command === undefined || command === COMMANDS[0] ? taken : takeApartFor(command, args);
}

function takeApartFor(lettersCommand: CommandName, args: readonly string[]): Arguments {
  let fault: UsageError | undefined;
  const blame = (message: string) => void (fault ??= new UsageError(message));
  const letters = new Map([...allLetters, ...lettersOf(lettersCommand)]);
  const { found, positionals } = readWords(args, lettersCommand, letters, blame);
  const [named] = positionals;
  const textCommand = TEXT_COMMANDS.find((command) => command === named);
  const command = COMMANDS.find((command) => command === named) ?? COMMANDS[0];

  const texts = new Map<FlagId, readonly string[]>();
  for (const id of flagIds) {
    const flag: Flag<unknown> = flags[id];
    const all = found.get(id) ?? [];
    // As in psql, the last one counts.
    const given = flag.repeatable ? all : all.slice(-1);
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
    if (index > 0 || command !== positional) blame(unexpected(positional, index, args));
  });
  return { command, operands: [], texts, fault };
}

/**
 * Reads a command line word by word: `-dshop`, `-d=shop`, `-d shop`, `--pg-dbname shop` and
 * `--pg-dbname=shop` are the same, `--no-full-change` is `--full-change=false`, a letter takes all
 * that stands behind it, and no value but a number or one behind `=` begins with a dash. It is psql's grammar;
 * `@std/cli`'s `parseArgs` takes `-dshop` for five switches and any value of a switch for true.
 */
function readWords(
  args: readonly string[],
  command: CommandName,
  letters: Letters,
  blame: (message: string) => void,
): { found: ReadonlyMap<FlagId, readonly string[]>; positionals: readonly string[] } {
  const found = new Map<FlagId, string[]>();
  const add = (id: FlagId, text: string) => found.set(id, [...found.get(id) ?? [], text]);
  const positionals: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const argument = args[i]!;
    if (argument === "--") return { found, positionals: [...positionals, ...args.slice(i + 1)] };
    if (!isLikeFlag(argument)) {
      positionals.push(argument);
      continue;
    }
    const { name, letter, rest } =
      /^(?:--(?<name>[^=]+)|-(?<letter>[^-=]))(?<rest>.*)$/s.exec(argument)?.groups ?? {};
    const id = idByName.get(name ?? "") ?? letters.get(letter ?? "");
    if (id === undefined) {
      const [, offName = "", value] = /^--no-([^=]+)(=.*)?$/s.exec(argument) ?? [];
      const off = idByName.get(offName);
      if (off === undefined || !isSwitch(off)) blame(unknownFlag(argument, command));
      else if (value === undefined) add(off, "false");
      else blame(`--no-${offName} takes no value; write --${offName}=true or =false`);
      continue;
    }
    const next = args[i + 1];
    if (rest !== "") add(id, rest!.replace(/^=/, ""));
    else if (isSwitch(id)) add(id, "true");
    else if (next !== undefined && isLikeValue(next)) {
      add(id, next);
      i++;
    } else blame(needsValue(flags[id]));
  }
  return { found, positionals };
}

/** A dash alone is a value, or a positional. */
const isLikeFlag = (word: string) => /^-./s.test(word);

/** Behind a flag that takes a value, `-1` is one, whatever that flag says of it. */
const isLikeValue = (word: string) => !isLikeFlag(word) || /^-\d/.test(word);

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

function unknownFlag(argument: string, command: CommandName): string {
  // Never more than the name: what stands behind `=` may be a password.
  const given = /^-[^-]/.test(argument) ? argument.slice(0, 2) : argument.replace(/=.*$/s, "");
  if (/^--(pg-)?password$/.test(given) || given === "-W") {
    return `${given} does not exist, since every user of the machine can read a command line; put ` +
      "the password into PGPASSWORD or ~/.pgpass";
  }
  const elsewhere = ELSEWHERE[given];
  if (elsewhere !== undefined) return `there is no flag ${given}: ${elsewhere}`;
  return `there is no flag ${given}${didYouMean(nearestFlag(given, command))}`;
}

/** What the AWS CLI takes as flags, and where it is set here. */
export const ELSEWHERE: Readonly<Record<string, string>> = {
  "--region": "the region is AWS's own setting; set AWS_REGION, or give the stream's ARN",
  "--profile": "the profile is AWS's own setting; set AWS_PROFILE",
  "--endpoint-url": "the endpoint is AWS's own setting; set AWS_ENDPOINT_URL_KINESIS",
};

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

/** The flag, of `command` or of any, that a mistyped one most likely stands for, if there is one. */
export function nearestFlag(given: string, command?: CommandName): string | undefined {
  if (/^-[^-]/.test(given)) {
    const id = allLetters.get(given[1]!.toLowerCase());
    return id === undefined ? undefined : `-${flags[id].letter} (--${flags[id].name})`;
  }
  const name = given.replace(/^--/, "").replaceAll("_", "-").toLowerCase();
  const names = flagIds.map((id): Flag<unknown> => flags[id])
    .filter(({ commands }) => command === undefined || commands.includes(command))
    .map(({ name }) => name);
  const found = OTHER_NAMES[name] ?? names.find((each) => each.endsWith("-" + name)) ??
    nearest(name, names) ?? (name.startsWith("no-") ? nearest(name.slice(3), names) : undefined);
  return found === undefined ? undefined : `--${found}`;
}

function strange(flag: Flag<unknown>, command: CommandName | TextCommandName): string {
  const own = flag.commands.join(", ").replace(/, (\w+)$/, " and $1");
  return `--${flag.name} is no flag of pg2kinesis ${command}, but of pg2kinesis ${own}`;
}

function unexpected(positional: string, index: number, args: readonly string[]): string {
  if (/^[a-z]+:\/\//i.test(positional)) return "a connection URL goes into --pg-url";
  const before = args[args.indexOf(positional) - 1] ?? "";
  const id = idByName.get(before.replace(/^--/, ""));
  if (id !== undefined && isSwitch(id) && isOnOrOff(positional)) {
    const { name } = flags[id];
    return `the value of a switch follows an =: write --${name}=${positional}, or --no-${name}`;
  }
  if (index > 0) {
    const other = [...COMMANDS, ...TEXT_COMMANDS].find((command) => command === positional);
    return `unexpected argument ${JSON.stringify(positional)}` +
      didYouMean(other === undefined ? undefined : `pg2kinesis ${other}`);
  }
  if (positional === "help" || positional === "version") {
    return `unknown command "${positional}"; did you mean --${positional}?`;
  }
  const all = [...COMMANDS, ...TEXT_COMMANDS];
  const near = didYouMean(nearest(positional, all));
  return `unknown command ${JSON.stringify(positional)}${
    near === "" ? "; there" : `${near} There`
  } ` +
    `are ${all.join(", ")}; ${COMMANDS[0]} may be omitted`;
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
