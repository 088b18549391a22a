import { isModulePath } from "../format/module_path.ts";
import { OWN_PREFIXES } from "../format/message_filter.ts";
import type { Operation, PartitionKeyChoice } from "../options.ts";
import { UsageError } from "../errors.ts";
import { didYouMean, nearest } from "../did_you_mean.ts";
import { defaultedFlag, type Flag, listFlag, optionalFlag, switchFlag } from "./flag.ts";
import { choice, duration, regularExpression, text } from "./flag_value.ts";

export const OPERATIONS: readonly Operation[] = ["insert", "update", "delete", "truncate"];

export const FORMATTERS = ["CSV", "CSVPayload", "JSON"] as const;

export const changeFlags = {
  messageFormatter: defaultedFlag({
    name: "message-formatter",
    letter: "f",
    category: "changes",
    placeholder: "FORMAT",
    defaultText: "CSVPayload",
    short: "CSV, CSVPayload (default), JSON or a module",
    long:
      "`CSV` and `CSVPayload` are the Python tool's: the operation and the key. `JSON` is one " +
      "object a change with every column. Or the path of your own JavaScript module, such as " +
      "`./my-format.js`.",
    suggestions: { words: FORMATTERS, files: true },
    parse: formatter,
  }),
  fullChange: switchFlag({
    name: "full-change",
    category: "changes",
    short: "CSVPayload with all columns of the row",
    long:
      "With `CSVPayload`, publish all columns of the row, in the shape of wal2json's version 1, " +
      "with every plugin.",
  }),
  tablePat: optionalFlag({
    name: "table-pat",
    category: "changes",
    placeholder: "REGEXP",
    defaultText: "all",
    short: "tables it finds, as schema.table",
    long:
      "A regular expression (JavaScript's, flag `u`) that is searched in `schema.table`, or in that of " +
      "a table above it (partition or inheritance). It is an error at start if no table matches.",
    parse: regularExpression,
  }),
  includeTable: listFlag({
    name: "include-table",
    category: "changes",
    placeholder: "GLOB",
    defaultText: "all",
    short: "only these, such as public.order_*",
    long:
      "Only tables whose `schema.table`, or that of a table above it (partition or inheritance), " +
      "matches this pattern; `*` stands for any characters, `?` for one. May be given several times.",
    parse: tableGlob,
  }),
  excludeTable: listFlag({
    name: "exclude-table",
    category: "changes",
    placeholder: "GLOB",
    short: "not these; wins over the other two",
    long:
      "No table whose `schema.table`, or that of a table above it, matches this pattern, whatever " +
      "the other two say. May be given several times.",
    parse: tableGlob,
  }),
  excludeColumn: listFlag({
    name: "exclude-column",
    category: "changes",
    placeholder: "COLUMN",
    short: "leave out schema.table.column",
    long:
      "Leave out the column `schema.table.column`. It cannot be part of the primary key. May be " +
      "given several times.",
    parse: columnName,
  }),
  maskColumn: listFlag({
    name: "mask-column",
    category: "changes",
    placeholder: "COLUMN",
    short: "replace schema.table.column by its hash",
    long: "Replace the value of `schema.table.column` by its SHA-256 with the salt in " +
      "`$PG2KINESIS_MASK_SALT`. It cannot be part of the primary key. May be given several times.",
    parse: columnName,
  }),
  operations: operationsFlag(),
  messagePrefix: listFlag({
    name: "message-prefix",
    category: "changes",
    placeholder: "GLOB",
    defaultText: "none",
    short: "messages to publish, such as app.*",
    long:
      "Publish the logical messages (`pg_logical_emit_message`) whose prefix matches this pattern, with " +
      "`JSON` or your own module; `*` stands for any characters, `?` for one. May be given several " +
      "times. Whoever may write messages may write one with such a prefix. Prefixes that begin with " +
      "`pg2kinesis.` are the program's own, and those of more than 1,024 bytes are left out.",
    parse: messageGlob,
  }),
  partitionKey: defaultedFlag({
    name: "partition-key",
    category: "changes",
    placeholder: "WHAT",
    defaultText: "pkey",
    short: "pkey (default), table, xid or fixed:TEXT",
    long:
      "What decides the shard, and so what is kept in order: `pkey` (table and primary key: each " +
      "row), `table`, `xid` (each transaction; a row's changes then lose their order between " +
      "shards) or `fixed:TEXT` (everything, through one shard).",
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
    long:
      "A change larger than the stream's record limit: `stop` the run, publish its `key-only`, " +
      "marked, or `skip` it, counted and logged.",
    parse: choice(["stop", "key-only", "skip"]),
  }),
  onMissingPkey: defaultedFlag({
    name: "on-missing-pkey",
    category: "policy",
    placeholder: "ACTION",
    defaultText: "skip",
    short: "table without key: skip (default) or stop",
    long: "A change of a table without a primary key, with `CSV`, or `CSVPayload` without " +
      "`--full-change`: `skip` it, with a warning once per table and counted, or `stop` the run.",
    parse: choice(["skip", "stop"]),
  }),
  onUnknownTable: defaultedFlag({
    name: "on-unknown-table",
    category: "policy",
    placeholder: "ACTION",
    defaultText: "stop",
    short: "not in the catalog: stop (default) or skip",
    long:
      "A change of a table that the catalog does not have, also after it was read again: `stop` " +
      "the run, or `skip` the change, logged and counted.",
    parse: choice(["stop", "skip"]),
  }),
  onPluginSkip: defaultedFlag({
    name: "on-plugin-skip",
    category: "policy",
    placeholder: "ACTION",
    defaultText: "stop",
    short: "change left out: stop (default) or warn",
    long:
      "A warning of the server that a change was left out, such as wal2json's for updates of tables " +
      "without replica identity that the filters let pass: `stop` the run, or `warn` and go on.",
    parse: choice(["stop", "warn"]),
  }),
  refreshPkeys: defaultedFlag({
    name: "refresh-pkeys",
    category: "policy",
    placeholder: "TIME",
    defaultText: "1h",
    short: "read the primary keys again this often",
    long:
      "How often all tables' primary keys are read again; 0: not by time. Also on SIGHUP, and at " +
      "once when an unknown table appears. A table that was altered is read before its next change.",
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
    long:
      "Which operations are published: `insert`, `update`, `delete`, `truncate`; separated by " +
      "commas, or the flag given several times.",
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
  if (FORMATTERS.some((name) => name === value)) return value;
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
    `${JSON.stringify(value)} is not one of ${FORMATTERS.join(", ")} or the path of a .js module` +
      didYouMean(nearest(value, FORMATTERS)),
  );
}

function tableGlob(value: string): string {
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
const MAX_PARTITION_KEY = 256;

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
