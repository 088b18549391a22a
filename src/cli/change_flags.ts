import { FORMAT_NAMES, formatName } from "../format/format_traits.ts";
import { isModulePath } from "../format/user/module_path.ts";
import { OWN_PREFIXES } from "../format/filter/message_filter.ts";
import type { Operation, PartitionKeyChoice } from "../options.ts";
import { UsageError } from "../base/errors.ts";
import { didYouMean, nearest } from "../base/did_you_mean.ts";
import { defaultedFlag, type Flag, listFlag, optionalFlag, switchFlag } from "./flag.ts";
import { choice, duration, regularExpression, text } from "../base/value_parsers.ts";

export const OPERATIONS: readonly Operation[] = ["insert", "update", "delete", "truncate"];

export const changeFlags = {
  messageFormatter: defaultedFlag({
    name: "message-formatter",
    letter: "f",
    category: "changes",
    placeholder: "FORMAT",
    defaultText: "CSVPayload",
    short: "CSVPayload (default), JSON, debezium, dms …",
    long: "`CSV` and `CSVPayload` are the formats of the Python tool: the operation and the key. " +
      "`JSON` is one object per change with every column. `debezium` and `dms` are the records that " +
      "Debezium and AWS DMS write. Or the path of your own JavaScript module, such as " +
      "`./my-format.js`.",
    suggestions: { words: FORMAT_NAMES, files: true },
    parse: formatter,
  }),
  fullChange: switchFlag({
    name: "full-change",
    category: "changes",
    short: "CSVPayload with all columns of the row",
    long: "With `CSVPayload`, publish all columns of the row, in the shape of wal2json's format " +
      "version 1, with every plugin.",
  }),
  tablePat: optionalFlag({
    name: "table-pat",
    category: "changes",
    placeholder: "REGEXP",
    defaultText: "all",
    short: "tables matching this, as schema.table",
    long:
      "Publish only tables in whose `schema.table` this regular expression (JavaScript's, flag " +
      "`u`) finds a match, or in that of a table above them (partition or inheritance). If no " +
      "table matches at the start, that is an error.",
    parse: regularExpression,
  }),
  includeTable: listFlag({
    name: "include-table",
    category: "changes",
    placeholder: "GLOB",
    defaultText: "all",
    short: "only these, such as public.order_*",
    long:
      "Publish only tables whose `schema.table` matches this pattern, or that of a table above " +
      "them (partition or inheritance). `*` matches any characters, `?` one. May be given " +
      "several times.",
    parse: tableGlob,
  }),
  excludeTable: listFlag({
    name: "exclude-table",
    category: "changes",
    placeholder: "GLOB",
    short: "not these; wins over the other two",
    long:
      "Publish no table whose `schema.table` matches this pattern, or that of a table above it, " +
      "whatever the other two flags say. May be given several times.",
    parse: tableGlob,
  }),
  excludeColumn: listFlag({
    name: "exclude-column",
    category: "changes",
    placeholder: "COLUMN",
    short: "omit schema.table.column",
    long: "Omit the column `schema.table.column`. It cannot be part of the primary key. May be " +
      "given several times.",
    parse: columnName,
  }),
  maskColumn: listFlag({
    name: "mask-column",
    category: "changes",
    placeholder: "COLUMN",
    short: "replace schema.table.column with its hash",
    long: "Replace the value of `schema.table.column` with its SHA-256, salted with " +
      "`$PG2KINESIS_MASK_SALT`. It cannot be part of the primary key. May be given several " +
      "times.",
    parse: columnName,
  }),
  operations: operationsFlag(),
  messagePrefix: listFlag({
    name: "message-prefix",
    category: "changes",
    placeholder: "GLOB",
    defaultText: "none",
    short: "messages to publish, such as app.*",
    long: "Publish the logical messages (`pg_logical_emit_message`) whose prefix matches this " +
      "pattern, with `JSON`, `debezium` or your own module. `*` matches any characters, `?` one. May be " +
      "given several times. Anyone who may write messages may write one with such a prefix. " +
      "Prefixes that begin with `pg2kinesis.` are the program's own; messages with a prefix of " +
      "more than 1,024 bytes are not published.",
    parse: messageGlob,
  }),
  partitionKey: defaultedFlag({
    name: "partition-key",
    category: "changes",
    placeholder: "WHAT",
    defaultText: "pkey",
    short: "pkey (default), table, xid or fixed:TEXT",
    long: "What selects the shard, and so what is kept in order: `pkey` (table and primary key: " +
      "each row), `table`, `xid` (each transaction; the changes of a row then lose their order " +
      "between shards) or `fixed:TEXT` (everything, through one shard).",
    suggestions: { words: ["pkey", "table", "xid", "fixed:"], files: false },
    parse: partitionKey,
  }),
};

export const policyFlags = {
  onOversize: defaultedFlag({
    name: "on-oversize",
    category: "policy",
    placeholder: "ACTION",
    defaultText: "stop",
    short: "row too large: stop (default), key-only, skip",
    long: "If a change exceeds the stream's record limit: `stop` the run, publish `key-only`, a " +
      "marked record with only the key, or `skip` it, counted and logged.",
    parse: choice(["stop", "key-only", "skip"]),
  }),
  onMissingPkey: defaultedFlag({
    name: "on-missing-pkey",
    category: "policy",
    placeholder: "ACTION",
    defaultText: "skip",
    short: "table without key: skip (default) or stop",
    long: "If a changed table has no primary key, with `CSV`, or `CSVPayload` without " +
      "`--full-change`: `skip` the change, counted and with one warning per table, or `stop` " +
      "the run.",
    parse: choice(["skip", "stop"]),
  }),
  onUnknownTable: defaultedFlag({
    name: "on-unknown-table",
    category: "policy",
    placeholder: "ACTION",
    defaultText: "stop",
    short: "not in the catalog: stop (default) or skip",
    long:
      "If the catalog does not have a changed table, even after it was read again: `stop` the " +
      "run, or `skip` the change, logged and counted.",
    parse: choice(["stop", "skip"]),
  }),
  onPluginSkip: defaultedFlag({
    name: "on-plugin-skip",
    category: "policy",
    placeholder: "ACTION",
    defaultText: "stop",
    short: "change left out: stop (default) or warn",
    long: "If the server warns that it left a change out, as wal2json does for updates of tables " +
      "without replica identity: `stop` the run, or `warn` and continue. Tables that the " +
      "filters exclude do not count.",
    parse: choice(["stop", "warn"]),
  }),
  refreshPkeys: defaultedFlag({
    name: "refresh-pkeys",
    category: "policy",
    placeholder: "TIME",
    defaultText: "1h",
    short: "read the primary keys again this often",
    long:
      "How often to read the primary keys of all tables again; 0: never by time. They are also " +
      "read on SIGHUP, and at once when an unknown table appears. A table that was altered is " +
      "read before its next change.",
    parse: duration({ min: "1s", max: "20d" }),
  }),
};

function operationsFlag(): Flag<ReadonlySet<Operation>> {
  const parse = choice(OPERATIONS);
  const list = listFlag({
    name: "operations",
    category: "changes",
    placeholder: "OPS",
    defaultText: "all",
    short: "of insert, update, delete, truncate",
    long: "The operations to publish: `insert`, `update`, `delete`, `truncate`. Separate several " +
      "with commas, or give the flag several times.",
    suggestions: { words: OPERATIONS, files: false },
    parse: (value) => value.split(",").map((word) => parse(word.trim())),
  });
  return {
    ...list,
    read: (texts) => new Set(texts.length === 0 ? OPERATIONS : list.read(texts).flat()),
  };
}

/** A built-in format's name, or something that can only be a module's path. */
function formatter(value: string): string {
  if (formatName({ formatter: value }) !== undefined) return value;
  if (isModulePath(value)) return value;
  if (/\.m?ts$/.test(value)) {
    throw new UsageError(
      `${JSON.stringify(value)} is TypeScript, which the executable cannot load; give a .js module`,
    );
  }
  if (/[/\\]/.test(value)) {
    throw new UsageError(`${JSON.stringify(value)} is not a module; its name ends in .js or .mjs`);
  }
  throw new UsageError(
    `${JSON.stringify(value)} is not one of ${
      FORMAT_NAMES.join(", ")
    } or the path of a .js module` +
      didYouMean(nearest(value, FORMAT_NAMES)),
  );
}

export function tableGlob(value: string): string {
  text(value);
  if (value.includes(".") || /[*?]/.test(value)) return value;
  throw new UsageError(
    `${JSON.stringify(value)} can match no schema.table; write public.${value} or *.${value}`,
  );
}

function messageGlob(value: string): string {
  text(value);
  if (!value.startsWith(OWN_PREFIXES)) return value;
  throw new UsageError(
    `${JSON.stringify(value)} names messages of the program's own, which are never published`,
  );
}

function columnName(value: string): string {
  const parts = text(value).split(".");
  if (parts.length >= 3 && parts.every((part) => part !== "")) return value;
  throw new UsageError(
    `${JSON.stringify(value)} does not name a column; write schema.table.column`,
  );
}

/** Kinesis takes partition keys of 1 to 256 characters. */
export const MAX_PARTITION_KEY = 256;

function partitionKey(value: string): PartitionKeyChoice {
  if (value === "pkey" || value === "table" || value === "xid") return { kind: value };
  if (value.startsWith("fixed:")) {
    const key = text(value.slice("fixed:".length));
    if (key.length >= 1 && [...key].length <= MAX_PARTITION_KEY) {
      return { kind: "fixed", text: key };
    }
    throw new UsageError(
      `fixed: needs a text of 1 to ${MAX_PARTITION_KEY} characters after it, such as fixed:orders`,
    );
  }
  throw new UsageError(
    `${JSON.stringify(value)} is not one of pkey, table, xid, fixed:TEXT` +
      didYouMean(nearest(value, ["pkey", "table", "xid", "fixed:"])),
  );
}
