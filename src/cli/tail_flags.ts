import type { TailStart } from "../tail/tail_options.ts";
import { UsageError } from "../base/errors.ts";
import { defaultedFlag, optionalFlag, switchFlag } from "./flag.ts";
import { duration, integer, text } from "../base/value_parsers.ts";

export const tailFlags = {
  from: defaultedFlag({
    name: "from",
    category: "tail",
    commands: ["tail"],
    placeholder: "WHERE",
    defaultText: "oldest",
    short: "oldest (default), latest or a time",
    long: "Where to start reading: at the `oldest` record that the stream still has, with new " +
      "records only (`latest`, together with `--follow`), or with records that arrived at or " +
      "after a time such as `2026-11-22T08:00:00Z` or `2026-11-22T09:00+01:00`.",
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
      "Start with records that arrived within this time, such as `10m`, `2h` or `1d`; the same " +
      "as `--from` with the corresponding time.",
    parse: duration({ min: "1s", max: "365d" }),
  }),
  lines: optionalFlag({
    name: "lines",
    letter: "n",
    category: "tail",
    commands: ["tail"],
    placeholder: "N",
    short: "only the last N user records",
    long: "Print only the last N user records, by arrival time; with `--follow`, continue from " +
      "there. Kinesis cannot be read backwards: without `--from` and `--since`, the last minute " +
      "is read, then the last quarter of an hour, four hours and the whole stream, until there " +
      "are enough. At most 256 MB are kept.",
    parse: integer({ min: 1, max: 1_000_000 }),
  }),
  follow: switchFlag({
    name: "follow",
    letter: "f",
    category: "tail",
    commands: ["tail"],
    short: "continue with new records",
    long: "Continue with new records until interrupted. Shards that split or merge are followed.",
  }),
  shard: optionalFlag({
    name: "shard",
    category: "tail",
    commands: ["tail"],
    placeholder: "ID",
    defaultText: "all",
    short: "only this shard, by its name or number",
    long: "Read only this shard, such as `shardId-000000000007` or `7`, without its parents and " +
      "children.",
    parse: shardId,
  }),
  verify: switchFlag({
    name: "verify",
    category: "tail",
    commands: ["tail"],
    short: "drop duplicates; verify order and shards",
    long:
      "Verify what was published with `--message-formatter JSON`. Duplicates, by `commit_lsn` " +
      "and `seq` for each partition key, are dropped and counted. These are findings, reported " +
      "on stderr: a change that comes after a later one of its partition key; a position with " +
      "two contents; a change that comes after a TRUNCATE that removed it and is not sent " +
      "again; and a user record that consumers built on the Kinesis Client Library never see, " +
      "because its aggregate spans shards. With a finding the exit code is 1. It cannot detect " +
      "that the last changes of a transaction, or all of it, are missing. It uses about 300 " +
      "bytes of memory per partition key, and up to 96 MB for the last two to four million " +
      "changes.",
  }),
  expectAll: switchFlag({
    name: "expect-all",
    category: "tail",
    commands: ["tail"],
    short: "with --verify: gaps, order of shards",
    long: "With `--verify`, also report a `seq` that is missing below the highest one of its " +
      "transaction, and, where records are aggregated, a change that comes after a later one of " +
      "its shard (except for what a merge of shards allows: one put per lane). Use it for a " +
      "stream that nobody is writing to, that has lost nothing to its retention, and that a " +
      "single run without filters published to; with `--route`, for all of its streams together. Of what a backfill read (`read`), no `seq` is " +
      "expected. It uses about 100 more bytes per transaction.",
  }),
};

export const outputFlags = {
  json: switchFlag({
    name: "json",
    category: "output",
    commands: ["check", "backfill", "tail", "plan"],
    short: "JSON, for machines",
    long:
      "Print JSON on stdout. `tail`: one object per line, with `stream` (of several), `shard`, `sequence_number`, " +
      "`sub_sequence` (in an aggregate), `partition_key`, `explicit_hash_key` (if known), " +
      '`arrival` and `data`, which is text, or base64 with `"encoding":"base64"` if the bytes ' +
      "are not UTF-8. `check`, `plan`, and `backfill` with `--status`: one object.",
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
