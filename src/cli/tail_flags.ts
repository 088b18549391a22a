import type { TailStart } from "../tail/tail_options.ts";
import { UsageError } from "../errors.ts";
import { defaultedFlag, optionalFlag, switchFlag } from "./flag.ts";
import { duration, integer, text } from "./flag_value.ts";

export const tailFlags = {
  from: defaultedFlag({
    name: "from",
    category: "tail",
    commands: ["tail"],
    placeholder: "WHERE",
    defaultText: "oldest",
    short: "oldest (default), latest or a time",
    long:
      "Where reading begins: with the `oldest` record that the stream still has, with what arrives " +
      "from now on (`latest`, together with `--follow`), or with what arrived at or after a time, " +
      "such as `2026-11-22T08:00:00Z` or `2026-11-22T09:00+01:00`.",
    suggestions: { words: ["oldest", "latest"], files: false },
    parse: tailStart,
  }),
  since: optionalFlag({
    name: "since",
    category: "tail",
    commands: ["tail"],
    placeholder: "TIME",
    short: "what arrived in the last 10m, 2h or 1d",
    long:
      "Begin with what arrived so long ago, such as `10m`, `2h` or `1d`; the same as `--from` with " +
      "that time.",
    parse: duration({ min: "1s", max: "365d" }),
  }),
  lines: optionalFlag({
    name: "lines",
    letter: "n",
    category: "tail",
    commands: ["tail"],
    placeholder: "N",
    short: "only the last N user records",
    long:
      "Print only the last N user records, by the time at which they arrived; with `--follow`, go on " +
      "from there. Kinesis cannot be read backwards: without `--from` and `--since` the last minute is " +
      "read, then the last quarter of an hour, four hours and all that the stream has, until there are " +
      "enough. At most 256 MB are kept.",
    parse: integer({ min: 1, max: 1_000_000 }),
  }),
  follow: switchFlag({
    name: "follow",
    letter: "f",
    category: "tail",
    commands: ["tail"],
    short: "go on with what arrives",
    long:
      "Go on with what arrives, until it is interrupted. Shards that split or merge are followed.",
  }),
  shard: optionalFlag({
    name: "shard",
    category: "tail",
    commands: ["tail"],
    placeholder: "ID",
    defaultText: "all",
    short: "only this shard, by its name or number",
    long:
      "Read only this shard, such as `shardId-000000000007` or `7`, without the ones it came from and " +
      "those that follow it.",
    parse: shardId,
  }),
  verify: switchFlag({
    name: "verify",
    category: "tail",
    commands: ["tail"],
    short: "drop duplicates; verify order and shards",
    long: "Verify what was published with `--message-formatter JSON`: duplicates, by the pair of " +
      "`commit_lsn` and `seq` for each partition key, are left out and counted. Findings, told on " +
      "stderr, are: a change that comes after a later one of its partition key; a pair with two " +
      "contents; a change that comes after a TRUNCATE that removed it and that does not come again; and " +
      "a user record that consumers built on the Kinesis Client Library never see, since its aggregate " +
      "lies across shards. With a finding the exit code is 1. It cannot see that the last changes of a " +
      "transaction, or all of it, are missing. It keeps in memory about 300 bytes for each partition " +
      "key, and up to 96 MB for the last two to four million changes.",
  }),
  expectAll: switchFlag({
    name: "expect-all",
    category: "tail",
    commands: ["tail"],
    short: "with --verify: gaps, order of shards",
    long:
      "With `--verify`, a `seq` that is missing below the greatest one of its transaction is a finding " +
      "too, and so is a change that comes after a later one of its shard, where records are aggregated " +
      "(but for what a merge of shards leaves open: one put of each lane). For a stream that nobody writes to now, that has lost nothing to its retention, and that " +
      "one run without filters publishes to. About 100 bytes more for each transaction.",
  }),
};

export const outputFlags = {
  json: switchFlag({
    name: "json",
    category: "output",
    commands: ["check", "tail"],
    short: "JSON, for machines",
    long:
      "JSON on stdout. `tail`: an object a line, with `shard`, `sequence_number`, `sub_sequence` (in " +
      "an aggregate), `partition_key`, `explicit_hash_key` (where it is known), `arrival` and `data`, " +
      'which is text, or with `"encoding":"base64"` bytes that are no UTF-8. `check`: one object.',
  }),
};

/** Kinesis numbers a stream's shards, and writes the number with twelve digits. */
function shardId(value: string): string {
  const number = /^(?:shardId-)?(\d{1,12})$/.exec(text(value))?.[1];
  return number === undefined ? value : `shardId-${number.padStart(12, "0")}`;
}

const TIME = /^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d(:?\d\d)?))?$/i;

function tailStart(value: string): TailStart {
  if (value === "oldest" || value === "latest") return { kind: value };
  if (TIME.test(value)) {
    // JavaScript's own form: with a T, and minutes in the offset.
    const atMs = Date.parse(
      value.replace(" ", "T").replace(
        /(T.*[+-]\d\d):?(\d\d)?$/,
        (_, start, minutes = "00") => `${start}:${minutes}`,
      ).toUpperCase(),
    );
    if (Number.isFinite(atMs)) return { kind: "time", atMs };
  }
  throw new UsageError(
    `${JSON.stringify(value)} is neither oldest nor latest, nor a time with its zone such as ` +
      "2026-11-22T08:00:00Z",
  );
}
