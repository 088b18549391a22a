import { backfillFlags } from "./backfill_flags.ts";
import { changeFlags, policyFlags } from "./change_flags.ts";
import { choice, text } from "../base/value_parsers.ts";
import { alsoOf, COMMANDS, defaultedFlag, type Flag, optionalFlag, switchFlag } from "./flag.ts";
import { formatFlags } from "./format_flags.ts";
import { connectionFlags, followFlags, slotFlags } from "./postgres_flags.ts";
import { streamFlags } from "./stream_flags.ts";
import { telemetryFlags } from "./telemetry_flags.ts";
import { outputFlags, tailFlags } from "./tail_flags.ts";
import { planFlags } from "./plan_flags.ts";

const programFlags = {
  config: optionalFlag({
    name: "config",
    category: "program",
    commands: COMMANDS,
    placeholder: "FILE",
    short: "read flags from this TOML file",
    long:
      'Read flags from a TOML file, such as `stream-name = "orders"`. The keys are the flags\' ' +
      "names without the dashes. A flag on the command line wins over its variable, which wins " +
      "over the file. An unknown key is an error; a key of another command is ignored. The file " +
      "needs no secret.",
    parse: text,
  }),
  logFormat: defaultedFlag({
    name: "log-format",
    category: "program",
    commands: COMMANDS,
    placeholder: "FORMAT",
    defaultText: "text",
    short: "text (default) or json",
    long: "How log lines are written to stderr: `text`, or `json`, one object per line.",
    parse: choice(["text", "json"]),
  }),
  logLevel: defaultedFlag({
    name: "log-level",
    category: "program",
    commands: COMMANDS,
    placeholder: "LEVEL",
    defaultText: "info",
    short: "debug, info (default), warning or error",
    long: "The lowest level that is logged: `debug`, `info`, `warning` or `error`. With `debug`, " +
      "errors include their cause and stack trace.",
    parse: choice(["debug", "info", "warning", "error"]),
  }),
  version: switchFlag({
    name: "version",
    category: "program",
    commands: COMMANDS,
    inEnvironment: false,
    short: "print the version",
    long: "Print the version, the commit it was built from, and the version of the runtime inside.",
  }),
  help: switchFlag({
    name: "help",
    category: "program",
    commands: COMMANDS,
    inEnvironment: false,
    short: "print this help",
    long: "Print help.",
  }),
};

/** The one table of flags. Parsing, help, the environment and docs/flags.md come from it. */
export const flags = {
  ...alsoOf("backfill", connectionFlags),
  ...followFlags,
  ...slotFlags,
  ...alsoOf("backfill", {
    pgSlotName: slotFlags.pgSlotName,
    pgPublication: slotFlags.pgPublication,
  }),
  ...streamFlags,
  ...changeFlags,
  ...formatFlags,
  ...policyFlags,
  ...telemetryFlags,
  ...backfillFlags,
  ...tailFlags,
  ...planFlags,
  ...outputFlags,
  ...programFlags,
} as const;

export type FlagId = keyof typeof flags;

/** What each flag reads as. */
export type FlagValues = { readonly [Id in FlagId]: ReturnType<(typeof flags)[Id]["read"]> };

export const flagIds = Object.keys(flags) as readonly FlagId[];

export const flagList: readonly Flag<unknown>[] = Object.values(flags);

/** Variables beside the flags' own, with what they are for. */
export const MASK_SALT_VARIABLE = "PG2KINESIS_MASK_SALT";
