import { choice, text } from "../base/value_parsers.ts";
import { UsageError } from "../base/errors.ts";
import { DEFAULT_DMS, parseDms } from "../format/dms/dms_settings.ts";
import type { DmsSettings } from "../options.ts";
import { defaultedFlag, type Flag, listFlag, optionalFlag, switchFlag } from "./flag.ts";
import { MAX_PARTITION_KEY } from "./change_flags.ts";

/** Settings of the formats of other systems. */
export const formatFlags = {
  debeziumName: defaultedFlag({
    name: "debezium-name",
    category: "changes",
    placeholder: "NAME",
    defaultText: "pg2kinesis",
    short: "source.name with -f debezium",
    long:
      "With `-f debezium`, the `source.name` of each record: what `topic.prefix` is to Debezium.",
    parse: text,
  }),
  debeziumDecimals: defaultedFlag({
    name: "debezium-decimals",
    category: "changes",
    placeholder: "MODE",
    defaultText: "precise",
    short: "numeric as precise (default), string, double",
    long:
      "With `-f debezium`, how numeric and money are written: `precise` (Debezium's default: the " +
      "unscaled integer in base64), `string` (PostgreSQL's text) or `double` (a JSON number, with all " +
      "digits). What `decimal.handling.mode` is to Debezium.",
    parse: choice(["precise", "string", "double"]),
  }),
  debeziumTombstones: switchFlag({
    name: "debezium-tombstones",
    category: "changes",
    short: "an empty record behind each delete",
    long:
      "With `-f debezium`, a record without data behind each delete, under the same partition key. " +
      "What `tombstones.on.delete` is to Debezium.",
  }),
  debeziumNullKey: optionalFlag({
    name: "debezium-null-key",
    category: "changes",
    placeholder: "TEXT",
    defaultText: "schema.table",
    short: "partition key without a key",
    long:
      "With `-f debezium`, the partition key of changes of tables without a primary key, and of " +
      "TRUNCATE. What `null.key` is to Debezium's Kinesis sink, where it is `default`, so that all " +
      "such tables share one shard.",
    parse: partitionKeyText,
  }),
  dms: dmsFlag(),
  recordSeparator: defaultedFlag({
    name: "record-separator",
    category: "changes",
    placeholder: "SEPARATOR",
    defaultText: "none",
    short: "end each record with: none (default), newline",
    long:
      "What each record ends with: nothing (`none`), or with `newline` a line feed. Firehose writes " +
      "records one after the other; with `newline` the objects in S3 are lines that Athena can read. A " +
      "record that ends with a line feed already, and an empty one, stay as they are.",
    parse: choice(["none", "newline"]),
  }),
  transactionRecords: switchFlag({
    name: "transaction-records",
    category: "changes",
    short: "records of where a transaction ends",
    long:
      'With `-f JSON`, publish a record behind each transaction with published changes, `"op":"commit"`, ' +
      "in every shard that has some of them: how many changes it has, by table, and in how many shards " +
      "of how many streams. A consumer of one shard then knows that its part is whole. With " +
      "`-f debezium`, Debezium's transaction metadata: `transaction` in each record, and the records " +
      "BEGIN and END of each transaction.",
  }),
};

function dmsFlag(): Flag<DmsSettings> {
  const list = listFlag({
    name: "dms",
    category: "changes",
    placeholder: "SETTING,...",
    short: "settings of -f dms, under AWS's names",
    long:
      "With `-f dms`, settings of a DMS endpoint, separated by commas: `IncludeNullAndEmpty`, " +
      "`IncludeTransactionDetails`, `IncludePartitionValue`, `NoHexPrefix`, `BeforeImage=pk-only` (or " +
      "`non-lob`, `all`), and `IncludeControlDetails=false`, `IncludeTableAlterOperations=false`, which " +
      "are on here. The flag can be given several times.",
    suggestions: { words: Object.keys(DEFAULT_DMS), files: false },
    parse: (value) => ({ value, settings: parseDms(value) }),
  });
  return {
    ...list,
    read: (texts) =>
      list.read(texts).reduce<DmsSettings>(
        (before, { value }) => parseDms(value, before),
        DEFAULT_DMS,
      ),
  };
}

function partitionKeyText(value: string): string {
  if (value !== "" && [...value].length <= MAX_PARTITION_KEY) return text(value);
  throw new UsageError(`a partition key has 1 to ${MAX_PARTITION_KEY} characters`);
}
