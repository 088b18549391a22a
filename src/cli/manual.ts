import type { CommandName, TextCommandName } from "./flag.ts";
import { SHELLS } from "./shells.ts";

/** A command line to copy. */
export interface Example {
  /** What it is for; undefined if the line is clear without it. */
  readonly comment: string | undefined;
  /** As it is typed; a long one has several lines. */
  readonly lines: readonly string[];
}

/** A word, and what it means, as a sentence without its capital and its full stop. */
export type Entry = readonly [term: string, meaning: string];

const example = (comment: string | undefined, ...lines: string[]): Example => ({ comment, lines });

/** What help and the manual page print beside the flags. */
export const EXAMPLES: Readonly<Record<CommandName | TextCommandName, readonly Example[]>> = {
  run: [
    example(
      "Check first: what would stop a run, and the statement that fixes it.",
      "pg2kinesis check -h db.example.com -d shop -u replicator -k shop-changes",
    ),
    example(
      "The first time: create the slot and the stream, then follow.",
      "export PGPASSWORD=… AWS_REGION=eu-west-1",
      "pg2kinesis -h db.example.com -d shop -u replicator --create-slot \\",
      "           -k shop-changes --create-stream --shard-count 2",
    ),
    example(
      "From then on; after a crash or a stop it continues where it was.",
      "pg2kinesis -h db.example.com -d shop -u replicator -k shop-changes",
    ),
    example(
      "Complete rows as JSON, of two tables only.",
      "pg2kinesis -d shop -f JSON --table-pat '^public\\.(orders|customers)$'",
    ),
  ],
  check: [
    example(undefined, "pg2kinesis check -h db.example.com -d shop -u replicator -k shop-changes"),
  ],
  backfill: [
    example(
      undefined,
      "pg2kinesis backfill -h db.example.com -d shop --table public.orders",
      "pg2kinesis backfill -d shop --table 'public.*' --wait",
      "pg2kinesis backfill -d shop --status",
      "pg2kinesis backfill -d shop --stop",
    ),
  ],
  tail: [
    example(
      undefined,
      "pg2kinesis tail -k shop-changes -n 20 -f",
      "pg2kinesis tail -k shop-changes --since 10m",
      "pg2kinesis tail -k shop-changes --from 2026-11-22T08:00Z --json | jq",
      "pg2kinesis tail -k shop-changes --verify > /dev/null",
    ),
  ],
  plan: [
    example(
      undefined,
      "pg2kinesis plan --parts 4 -d shop -s shop -k shop-changes -f JSON",
      "pg2kinesis plan --parts 2 --split tables -d shop -s shop -k shop-changes",
    ),
  ],
  health: [
    example(undefined, "pg2kinesis health --metrics-addr 9187 --ready"),
  ],
  completions: [
    example(
      undefined,
      "pg2kinesis completions bash > /etc/bash_completion.d/pg2kinesis",
      'pg2kinesis completions zsh > "${fpath[1]}/_pg2kinesis"',
      "pg2kinesis completions fish > ~/.config/fish/completions/pg2kinesis.fish",
    ),
  ],
  man: [
    example(
      undefined,
      "pg2kinesis man | man -l -",
      "pg2kinesis man > /usr/local/share/man/man1/pg2kinesis.1",
    ),
  ],
  schema: [example(undefined, "pg2kinesis schema > pg2kinesis.schema.json")],
};

export const SIGNALS: readonly Entry[] = [
  [
    "SIGINT, SIGTERM",
    "stop reading, publish and confirm what was read, exit; a second one exits at once",
  ],
  [
    "SIGHUP",
    "read the tables' primary keys again, and log whether the --config file has changed",
  ],
];

const WRONG_USAGE: Entry = ["2", "wrong usage"];

export const EXIT_CODES: Readonly<Record<CommandName, readonly Entry[]>> = {
  run: [["0", "clean stop"], ["1", "the run failed"], WRONG_USAGE],
  check: [["0", "nothing would stop a run"], ["1", "something would, or interrupted"], WRONG_USAGE],
  backfill: [
    ["0", "asked; with --wait: every row is stored"],
    ["1", "not asked, or with --wait a table was refused or given up"],
    WRONG_USAGE,
  ],
  tail: [
    ["0", "read to the end, interrupted, or the reader of the output left"],
    ["1", "the stream cannot be read, or --verify found something"],
    WRONG_USAGE,
  ],
  plan: [["0", "printed"], ["1", "no plan can be made"], WRONG_USAGE],
  health: [["0", "alive; with --ready: ready"], ["1", "not, or no answer"], WRONG_USAGE],
};

/** What follows a command's name. */
export const SYNOPSIS: Readonly<Record<CommandName | TextCommandName, string>> = {
  run: "[options]",
  check: "[options]",
  backfill: "[options]",
  tail: "[options]",
  plan: "--parts N [options]",
  health: "[options]",
  completions: SHELLS.join("|"),
  man: "",
  schema: "",
};

/** What a command is for, in a few words. */
export const COMMAND_TEXTS: Readonly<Record<CommandName | TextCommandName, string>> = {
  run: "follow the database",
  check: "what would stop a run",
  backfill: "publish the rows that are in tables already",
  tail: "read a stream back",
  plan: "share the work among several runs",
  health: "ask a run on this machine how it is",
  completions: "print completions for a shell",
  man: "print the manual page",
  schema: "print the JSON Schema of the format JSON",
};
