import { DEFAULT_DMS } from "../../src/format/dms/dms_settings.ts";
import type { FlagId } from "../../src/cli/flags.ts";
import type { RunOptions } from "../../src/options.ts";
import type { Env } from "../support/command_line.ts";

/** A flag's good texts with what they become in the options, and its bad ones with what is said. */
export interface Row {
  readonly see: (options: RunOptions) => unknown;
  /** What it is when it is not given. */
  readonly unset: unknown;
  readonly good: readonly (readonly [text: string, value: unknown])[];
  readonly bad?: readonly (readonly [text: string, message: RegExp])[];
  /** What else has to be given for the flag to make sense. */
  readonly env?: Env;
  readonly files?: readonly string[];
}

const switchRow = (see: Row["see"], env?: Env): Row => ({
  see,
  unset: false,
  good: [["true", true], ["false", false], ["1", true], ["0", false], ["yes", true], ["No", false]],
  bad: [["maybe", /"maybe" is neither on nor off; write true or false/]],
  env,
});

const choiceRow = (see: Row["see"], words: readonly string[], bad: string, near: string): Row => ({
  see,
  unset: words[0],
  good: words.map((word) => [word, word] as const),
  bad: [[bad, new RegExp(`"${bad}" is not one of ${words.join(", ")}; did you mean ${near}\\?`)]],
});

const DEBEZIUM: Env = { PG2KINESIS_MESSAGE_FORMATTER: "debezium" };

/** The flags of other commands are tested in tail_flags_test.ts and backfill_flags_test.ts. */
export type OtherFlag =
  | "table"
  | "wait"
  | "status"
  | "stop"
  | "from"
  | "since"
  | "lines"
  | "follow"
  | "shard"
  | "verify"
  | "expectAll"
  | "parts"
  | "split"
  | "ownStreams"
  | "ready"
  | "json";

export const ROWS: { readonly [Id in Exclude<FlagId, "help" | "version" | OtherFlag>]: Row } = {
  pgDbname: {
    see: (o) => o.postgres.database,
    unset: "shop",
    good: [["x", "x"], ["My Database", "My Database"], ["a=b", "a=b"]],
    bad: [["postgresql://u:hidden@h/d", /^\S+: is the database's name only.*--pg-url$/]],
  },
  pgHost: {
    see: (o) => o.postgres.hosts,
    unset: [{ host: "localhost", port: 5432 }],
    good: [
      ["db.example.com", [{ host: "db.example.com", port: 5432 }]],
      ["::1", [{ host: "::1", port: 5432 }]],
      ["/var/run/x", [{ host: "/var/run/x", port: 5432 }]],
      ["a,b", [{ host: "a", port: 5432 }, { host: "b", port: 5432 }]],
    ],
  },
  pgPort: {
    see: (o) => o.postgres.hosts[0]?.port,
    unset: 5432,
    good: [["1", 1], ["65535", 65535], ["05433", 5433]],
    bad: [
      ["0", /"0" is not a port; give a number from 1 to 65535/],
      ["65536", /not a port/],
      ["5432x", /not a port/],
      ["1e3", /not a port/],
    ],
  },
  pgUser: { see: (o) => o.postgres.user, unset: "app", good: [["me", "me"], ["0", "0"]] },
  pgUrl: {
    see: (o) => o.postgres.hosts[0]?.host,
    unset: "localhost",
    good: [["postgres://h1", "h1"], ["postgresql://h2/x", "h2"]],
    bad: [["http://h", /is not a connection URL; it begins with postgresql:\/\//]],
  },
  pgAuth: {
    ...choiceRow((o) => o.postgres.auth, ["password", "rds-iam"], "rds_iam", "rds-iam"),
    env: { PGHOST: "h" },
  },
  pgSslmode: {
    see: (o) => o.postgres.sslMode,
    unset: "prefer",
    good: ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"].map((mode) =>
      [mode, mode] as const
    ),
    bad: [["verify_full", /"verify_full" is not one of .*; did you mean verify-full\?/]],
    env: { PGSSLROOTCERT: "/ca" },
    files: ["/ca"],
  },
  pgSslrootcert: {
    see: (o) => o.postgres.sslRootCert,
    unset: undefined,
    good: [["/ca", "/ca"], ["system", "system"]],
    bad: [["/other", /there is no file \/other/]],
    files: ["/ca"],
  },
  pgSslcert: {
    see: (o) => [o.postgres.sslCert, o.postgres.sslKey],
    unset: [undefined, undefined],
    good: [["/cert", ["/cert", "/key"]]],
    bad: [["/other", /there is no file \/other/]],
    env: { PGSSLKEY: "/key" },
    files: ["/cert", "/key"],
  },
  pgSslkey: {
    see: (o) => o.postgres.sslKey,
    unset: "/home/me/.postgresql/postgresql.key",
    good: [["/key", "/key"]],
    bad: [["/other", /there is no file \/other/]],
    env: { PGSSLCERT: "/cert", HOME: "/home/me" },
    files: ["/cert", "/key", "/home/me/.postgresql/postgresql.key"],
  },
  pgSlotName: {
    see: (o) => o.slot.name,
    unset: "pg2kinesis",
    good: [["a", "a"], ["slot_2", "slot_2"], ["x".repeat(63), "x".repeat(63)]],
    bad: [
      ["Slot", /"Slot" cannot be a slot's name; it has 1 to 63 lower-case letters/],
      ["a-b", /cannot be a slot's name/],
      ["x".repeat(64), /cannot be a slot's name/],
    ],
  },
  pgSlotOutputPlugin: choiceRow(
    (o) => o.slot.plugin,
    ["test_decoding", "wal2json", "pgoutput"],
    "wal2jsn",
    "wal2json",
  ),
  pgPublication: {
    see: (o) => o.slot.publications,
    unset: ["pg2kinesis"],
    good: [["p", ["p"]], ["Mixed Case", ["Mixed Case"]]],
    env: { PG2KINESIS_PG_SLOT_OUTPUT_PLUGIN: "pgoutput" },
  },
  createSlot: switchRow((o) => o.slot.create),
  recreateSlot: switchRow((o) => o.slot.recreate),
  pgTimeout: {
    see: (o) => o.slot.silenceMs,
    unset: 60_000,
    good: [["0", 0], ["1s", 1000], ["5m", 300_000]],
    bad: [
      ["60", /"60" is not a span of time/],
      ["500ms", /"500ms" is out of range; it may be 0 or from 1s to 1d/],
    ],
  },
  slotFailover: switchRow((o) => o.slot.failover, { PG2KINESIS_CREATE_SLOT: "1" }),
  backfill: switchRow((o) => o.slot.backfill, { PG2KINESIS_CREATE_SLOT: "1" }),
  backfillRate: {
    see: (o) => o.policy.backfillRate,
    unset: undefined,
    good: [["1", 1], ["50000", 50_000]],
    bad: [["0", /"0" is not a whole number from 1 to 100000000/], [
      "fast",
      /is not a whole number/,
    ]],
  },
  standby: switchRow((o) => o.slot.standby),
  heartbeat: {
    see: (o) => o.policy.heartbeatMs,
    unset: 0,
    good: [["1m", 60_000], ["0", 0], ["100ms", 100], ["1d", 86_400_000]],
    bad: [["1", /"1" is not a span of time/], ["99ms", /it may be 0 or from 100ms to 1d/]],
  },
  createPublication: switchRow((o) => o.slot.createPublication, {
    PG2KINESIS_PG_SLOT_OUTPUT_PLUGIN: "pgoutput",
    PG2KINESIS_CREATE_SLOT: "1",
  }),
  partitionRoot: switchRow((o) => o.slot.partitionRoot, {
    PG2KINESIS_PG_SLOT_OUTPUT_PLUGIN: "pgoutput",
    PG2KINESIS_CREATE_SLOT: "1",
    PG2KINESIS_CREATE_PUBLICATION: "1",
  }),
  streamName: {
    see: (o) => o.stream.name,
    unset: "pg2kinesis",
    good: [
      ["A.b_c-1", "A.b_c-1"],
      ["s".repeat(128), "s".repeat(128)],
      ...["aws", "aws-cn", "aws-us-gov"].map((partition) => {
        const arn = `arn:${partition}:kinesis:eu-west-1:123456789012:stream/orders`;
        return [arn, arn] as const;
      }),
    ],
    bad: [
      ["a b", /"a b" cannot be a stream's name; it has 1 to 128/],
      ["s".repeat(129), /cannot be a stream's name/],
      [
        "arn:aws:kinesis:eu-west-1:123456789012:stream/orders/consumer/c:1",
        /is not the ARN of a stream/,
      ],
      [
        "arn:aws:sqs:eu-west-1:123456789012:stream/orders",
        /is not the ARN of a stream; write it like arn:/,
      ],
      ["arn:aws:kinesis:eu-west-1:12345:stream/orders", /is not the ARN of a stream/],
    ],
  },
  route: {
    see: (o) => o.format.routes,
    unset: [],
    good: [
      ["public.orders=orders", [{ of: "table", glob: "public.orders", stream: "orders" }]],
      ["*=app.{schema}.{table}", [{ of: "table", glob: "*", stream: "app.{schema}.{table}" }]],
      ["a.b=-", [{ of: "table", glob: "a.b", stream: undefined }]],
      ["a.x=y=s", [{ of: "table", glob: "a.x=y", stream: "s" }]],
      ["message:app.*=events", [{ of: "message", glob: "app.*", stream: "events" }]],
      ["message:noise*=-", [{ of: "message", glob: "noise*", stream: undefined }]],
      ["\\message:a.b=s", [{ of: "table", glob: "\\message:a.b", stream: "s" }]],
      [
        "*.t=arn:aws:kinesis:eu-west-1:123456789012:stream/{table}",
        [{
          of: "table",
          glob: "*.t",
          stream: "arn:aws:kinesis:eu-west-1:123456789012:stream/{table}",
        }],
      ],
    ],
    bad: [
      ["public.orders", /"public.orders" is no route; write PATTERN=STREAM/],
      ["=orders", /is no route/],
      ["public.orders=", /is no route/],
      ["orders=x", /"orders" can match no schema.table; write public.orders=x or \*.orders=x/],
      ["a.b=my stream", /"my stream" is neither a stream's name/],
      ["a.b={db}", /there is no \{db\}; a stream's name is made of \{schema\} and \{table\}/],
      ["a.b={}", /there is no \{\}/],
      ["a.b={table", /is neither a stream's name/],
      ["message:=x", /names no prefix/],
      ["message:a={table}", /a message has no \{table\}/],
      ["a.b=arn:aws:kinesis:x", /is neither a stream's name/],
    ],
  },
  createStream: switchRow((o) => o.stream.create),
  shardCount: {
    see: (o) => o.stream.shardCount,
    unset: 1,
    good: [["1", 1], ["32", 32], ["0", 0]],
    bad: [["-1", /not a whole number/], ["two", /"two" is not a whole number from 0 to/]],
    env: { PG2KINESIS_CREATE_STREAM: "true" },
  },
  aggregation: choiceRow((o) => o.stream.aggregation, ["kpl", "none"], "nonne", "none"),
  kinesisWire: choiceRow((o) => o.stream.wire, ["json", "cbor"], "cobr", "cbor"),
  linger: {
    see: (o) => o.stream.lingerMs,
    unset: 0,
    good: [["0", 0], ["500ms", 500], ["10s", 10_000], ["1m", 60_000], ["1.5s", 1500]],
    bad: [
      ["10", /"10" is not a span of time; write a number and ms, s, m, h or d/],
      ["10 s", /not a span of time/],
      ["-1s", /not a span of time/],
      ["2m", /"2m" is out of range; it may be 0 or from 1ms to 1m/],
    ],
  },
  messageFormatter: {
    see: (o) => o.format.formatter,
    unset: "CSVPayload",
    good: [
      ["CSV", "CSV"],
      ["CSVPayload", "CSVPayload"],
      ["JSON", "JSON"],
      ["debezium", "debezium"],
      ["dms", "dms"],
      ["./my-format.js", "./my-format.js"],
      ["my-format.mjs", "my-format.mjs"],
      ["./format.ts", "./format.ts"],
    ],
    bad: [
      [
        "csvpayload",
        /"csvpayload" is not one of CSV, CSVPayload, JSON, debezium, dms or the path.*mean CSVPayload\?/,
      ],
      ["./format.py", /is not a module; its name ends in \.js or \.mjs/],
      ["./nothing.js", /there is no file \.\/nothing\.js$/],
    ],
    files: ["./my-format.js", "my-format.mjs", "./format.ts"],
  },
  fullChange: switchRow((o) => o.format.fullChange),
  tablePat: {
    see: (o) =>
      o.format.tablePattern && [o.format.tablePattern.source, o.format.tablePattern.flags],
    unset: undefined,
    good: [["^public\\.", ["^public\\.", "u"]], ["a=b", ["a=b", "u"]]],
    bad: [
      [
        "public.(a|b",
        /"public\.\(a\|b" is not a regular expression: Unterminated group at character 8/,
      ],
      ["a**", /Nothing to repeat at character 3/],
      ["é\\_x", /Invalid escape at character 3/],
      ["[z-a]x", /Range out of order in character class at character 4/],
      ["x)", /Unmatched '\)' at character 2/],
    ],
  },
  includeTable: {
    see: (o) => o.format.includeTables,
    unset: [],
    good: [["public.*", ["public.*"]], ["*", ["*"]]],
    bad: [["orders", /"orders" can match no schema\.table; write public\.orders or \*\.orders/]],
  },
  excludeTable: {
    see: (o) => o.format.excludeTables,
    unset: [],
    good: [["public.log_?", ["public.log_?"]]],
    bad: [["orders", /can match no schema\.table/]],
  },
  excludeColumn: {
    see: (o) => o.format.excludeColumns,
    unset: [],
    good: [["public.users.email", ["public.users.email"]]],
    bad: [["users.email", /"users\.email" does not name a column; write schema\.table\.column/]],
  },
  maskColumn: {
    see: (o) => o.format.maskColumns,
    unset: [],
    good: [["public.users.email", ["public.users.email"]]],
    bad: [["a..b", /does not name a column/]],
    env: { PG2KINESIS_MASK_SALT: "pepper" },
  },
  operations: {
    see: (o) => [...o.format.operations],
    unset: ["insert", "update", "delete", "truncate"],
    good: [["insert", ["insert"]], ["delete,insert", ["delete", "insert"]]],
    bad: [["insert,upsert", /"upsert" is not one of insert, update.*did you mean insert\?/]],
  },
  messagePrefix: {
    see: (o) => o.format.messagePrefixes,
    unset: [],
    good: [["app.*", ["app.*"]], ["*", ["*"]], ["pg2kinesis", ["pg2kinesis"]]],
    bad: [["pg2kinesis.heartbeat", /messages of the program's own, which are never published$/]],
    env: { PG2KINESIS_MESSAGE_FORMATTER: "JSON" },
  },
  debeziumName: {
    see: (o) => o.format.debezium.name,
    unset: "pg2kinesis",
    good: [["app", "app"], ["a.b-c", "a.b-c"]],
    env: DEBEZIUM,
  },
  debeziumDecimals: {
    ...choiceRow(
      (o) => o.format.debezium.decimals,
      ["precise", "string", "double"],
      "strings",
      "string",
    ),
    env: DEBEZIUM,
  },
  debeziumTombstones: switchRow((o) => o.format.debezium.tombstones, DEBEZIUM),
  debeziumNullKey: {
    see: (o) => o.format.debezium.nullKey,
    unset: undefined,
    good: [["default", "default"]],
    bad: [["x".repeat(257), /a partition key has 1 to 256 characters$/]],
    env: DEBEZIUM,
  },
  recordSeparator: choiceRow(
    (o) => o.format.recordSeparator,
    ["none", "newline"],
    "newlines",
    "newline",
  ),
  transactionRecords: switchRow((o) => o.format.debezium.transactions, DEBEZIUM),
  dms: {
    see: (o) => o.format.dms,
    unset: { ...DEFAULT_DMS, taskId: "pg2kinesis" },
    good: [
      ["IncludeNullAndEmpty", { ...DEFAULT_DMS, IncludeNullAndEmpty: true, taskId: "pg2kinesis" }],
      [
        "NoHexPrefix,BeforeImage=all",
        { ...DEFAULT_DMS, NoHexPrefix: true, BeforeImage: "all", taskId: "pg2kinesis" },
      ],
    ],
    bad: [["IncludeNulls", /"IncludeNulls" is not one of .*IncludeNullAndEmpty/]],
    env: { PG2KINESIS_MESSAGE_FORMATTER: "dms" },
  },
  partitionKey: {
    see: (o) => o.format.partitionKey,
    unset: { kind: "pkey" },
    good: [
      ["pkey", { kind: "pkey" }],
      ["table", { kind: "table" }],
      ["xid", { kind: "xid" }],
      ["fixed:orders", { kind: "fixed", text: "orders" }],
      ["fixed:a:b", { kind: "fixed", text: "a:b" }],
      ["fixed:" + "é".repeat(256), { kind: "fixed", text: "é".repeat(256) }],
    ],
    bad: [
      ["fixed:", /fixed: needs a text of 1 to 256 characters/],
      ["fixed:" + "x".repeat(257), /fixed: needs a text of 1 to 256 characters/],
      ["tabel", /"tabel" is not one of pkey, table, xid, fixed:TEXT; did you mean table\?/],
    ],
  },
  onOversize: choiceRow(
    (o) => o.stream.onOversize,
    ["stop", "key-only", "skip"],
    "keyonly",
    "key-only",
  ),
  onMissingPkey: choiceRow((o) => o.policy.onMissingPkey, ["skip", "stop"], "stopp", "stop"),
  onUnknownTable: choiceRow((o) => o.policy.onUnknownTable, ["stop", "skip"], "skipp", "skip"),
  onPluginSkip: choiceRow((o) => o.policy.onPluginSkip, ["stop", "warn"], "wran", "warn"),
  refreshPkeys: {
    see: (o) => o.policy.refreshPkeysMs,
    unset: 3_600_000,
    good: [["0", 0], ["90s", 90_000], ["1h30m", 5_400_000], ["20d", 1_728_000_000]],
    bad: [["25d", /out of range; it may be 0 or from 1s to 20d/], ["soon", /not a span of time/]],
  },
  metricsAddr: {
    see: (o) => o.telemetry.metricsAddress,
    unset: undefined,
    good: [
      ["9187", { hostname: "127.0.0.1", port: 9187 }],
      [":9187", { hostname: "127.0.0.1", port: 9187 }],
      ["0.0.0.0:80", { hostname: "0.0.0.0", port: 80 }],
      ["[::1]:9187", { hostname: "::1", port: 9187 }],
      ["localhost:0", { hostname: "localhost", port: 0 }],
    ],
    bad: [
      ["localhost", /"localhost" is not HOST:PORT; write 127\.0\.0\.1:9187/],
      ["::1:9187", /is not HOST:PORT/],
      ["localhost:65536", /is not HOST:PORT/],
      ["http://localhost:80", /is not HOST:PORT/],
    ],
  },
  metricsHost: {
    see: (o) => o.telemetry.metricsHosts,
    unset: [],
    good: [["bastion.internal", ["bastion.internal"]]],
    bad: [["bastion:9187", /"bastion:9187" is not the name of a host; write it without a port/]],
    env: { PG2KINESIS_METRICS_ADDR: "9187" },
  },
  readyLag: {
    see: (o) => o.telemetry.readyLag,
    unset: { kind: "seconds", seconds: 60 },
    good: [
      ["30s", { kind: "seconds", seconds: 30 }],
      ["64MB", { kind: "bytes", bytes: 64 * 1024 * 1024 }],
      ["1.5GiB", { kind: "bytes", bytes: 1.5 * 1024 ** 3 }],
      ["0", undefined],
    ],
    bad: [["soon", /"soon" is neither a time nor a size; write 30s or 64MB/]],
    env: { PG2KINESIS_METRICS_ADDR: "9187" },
  },
  maxLagBytes: {
    see: (o) => o.telemetry.maxLagBytes,
    unset: undefined,
    good: [["10GB", 10 * 1024 ** 3], ["512 kB", 512 * 1024], ["1048576", 1048576]],
    bad: [["10 sheep", /"10 sheep" is not a size; write a number and kB/], ["0", /is not a size/]],
  },
  onMaxLag: {
    ...choiceRow((o) => o.telemetry.onMaxLag, ["warn", "stop"], "stopp", "stop"),
    env: { PG2KINESIS_MAX_LAG_BYTES: "10GB" },
  },
  // Its own tests are in config_file_test.ts.
  config: {
    see: (o) => o.stream.name,
    unset: "pg2kinesis",
    good: [["/empty.toml", "pg2kinesis"]],
    bad: [],
    files: ["/empty.toml"],
  },
  logFormat: choiceRow((o) => o.log.format, ["text", "json"], "jsn", "json"),
  logLevel: {
    see: (o) => o.log.level,
    unset: "info",
    good: ["debug", "info", "warning", "error"].map((level) => [level, level] as const),
    bad: [["warn", /"warn" is not one of debug, info, warning, error; did you mean warning\?/]],
  },
};
