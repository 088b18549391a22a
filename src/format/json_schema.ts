/** A JSON Schema, or a part of one. */
export type Schema = Readonly<Record<string, unknown>>;

const text: Schema = { type: "string" };
const count: Schema = { type: "integer", minimum: 0 };
const lsn: Schema = { type: "string", pattern: "^[0-9A-F]{1,8}/[0-9A-F]{1,8}$" };
const columns = (description: string): Schema => ({ description, $ref: "#/$defs/columns" });

/** The parts that several kinds of records have. */
const PARTS = {
  v: { description: "The version of the format.", const: 1 },
  xid: { description: "The transaction.", type: "integer", minimum: 0, maximum: 4_294_967_295 },
  lsn: { description: "Where the change is in the WAL.", ...lsn },
  commit_lsn: {
    description: "Where the transaction was committed. Absent with test_decoding. (timeline, " +
      "commit_lsn, seq) is the position of a change; compare it as numbers.",
    ...lsn,
  },
  seq: { description: "The place in the transaction. Gaps are normal.", ...count },
  timeline: {
    description: "The timeline of the WAL; every failover of the server increases it.",
    type: "integer",
    minimum: 1,
  },
  ts: {
    description: "The time of the commit in UTC. Absent with test_decoding.",
    type: "string",
    pattern: "^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{6}Z$",
  },
  schema: text,
  table: text,
  key: columns("The primary key."),
  before: columns("The old row, or the old key, if PostgreSQL sent one."),
  after: columns("The new row."),
  unchanged: {
    description: "Columns whose TOASTed value PostgreSQL did not send.",
    type: "array",
    items: text,
    minItems: 1,
    uniqueItems: true,
  },
  moved_from: columns("The old key, where an update changed the key."),
  moved_to: columns("The new key, where an update changed the key."),
  oversize: {
    description: "The record was too large; only its key is published (--on-oversize key-only).",
    const: true,
  },
  request: { description: "The backfill.", ...text },
  rows: { description: "Rows of the table, those that were read twice included.", ...count },
  complete: { description: "Whether every row was published.", type: "boolean" },
  prefix: text,
  content: text,
  encoding: { description: "Of content, if it is not plain text.", const: "base64" },
  changes: { description: "Published changes of the transaction.", ...count },
  tables: {
    description: "Published changes by `schema.table`.",
    type: "object",
    additionalProperties: { type: "integer", minimum: 1 },
  },
  messages: {
    description: "Published logical messages of the transaction.",
    type: "integer",
    minimum: 1,
  },
  shards: {
    description: "How many shards have such a record of this transaction.",
    type: "integer",
    minimum: 1,
  },
  streams: {
    description: "How many streams have changes of this transaction.",
    type: "integer",
    minimum: 1,
  },
} as const satisfies Readonly<Record<string, Schema>>;

type Part = keyof typeof PARTS;

/** What places a change in its transaction. With test_decoding the latter two are not known. */
const PLACE: readonly Part[] = ["xid", "lsn", "seq", "timeline"];
const COMMIT: readonly Part[] = ["commit_lsn", "ts"];

/** In place of what made the record too large. */
const OR_OVERSIZE: Schema = {
  oneOf: [
    { required: ["after"], properties: { oversize: false, after: true } },
    {
      required: ["oversize"],
      properties: { oversize: true, before: false, after: false, unchanged: false },
    },
  ],
};

/** A kind of record: what it always has, what it may have, and what else holds. */
function kind(
  description: string,
  op: string,
  required: readonly Part[],
  optional: readonly Part[],
  rule: Schema = {},
): Schema {
  const { v, ...rest } = PARTS;
  const names = new Set<string>([...required, ...optional]);
  const parts = Object.entries(rest).filter(([name]) => names.has(name));
  return {
    description,
    type: "object",
    properties: { v, op: { const: op }, ...Object.fromEntries(parts) },
    required: ["v", "op", ...required],
    additionalProperties: false,
    ...rule,
  };
}

const row = (
  description: string,
  op: string,
  required: readonly Part[],
  optional: readonly Part[],
  rule: Schema,
) =>
  kind(
    description,
    op,
    [...PLACE, "schema", "table", ...required],
    [...COMMIT, "key", "oversize", ...optional],
    { dependentRequired: { commit_lsn: ["ts"] }, ...rule },
  );

const KINDS: Readonly<Record<string, Schema>> = {
  insert: row("A new row.", "insert", [], ["moved_from", "after", "unchanged"], OR_OVERSIZE),
  update: row(
    "A row that was changed.",
    "update",
    [],
    ["moved_from", "before", "after", "unchanged"],
    OR_OVERSIZE,
  ),
  delete: row("A row that is gone from its key.", "delete", [], ["moved_to", "before"], {
    anyOf: [{ required: ["key"] }, { required: ["before"] }, { required: ["oversize"] }],
  }),
  read: row("A row as a backfill read it.", "read", ["request"], ["after"], OR_OVERSIZE),
  truncate: kind(
    "A table that was emptied; one record in every shard.",
    "truncate",
    [...PLACE, "schema", "table"],
    COMMIT,
  ),
  backfill: kind(
    "The end of a table's backfill; one record in every shard.",
    "backfill",
    [...PLACE, "schema", "table", "request", "rows", "complete"],
    COMMIT,
  ),
  message: kind(
    "A logical message. One outside a transaction has only its lsn.",
    "message",
    ["lsn", "prefix"],
    [...PLACE, ...COMMIT, "content", "encoding", "oversize"],
    {
      dependentRequired: {
        xid: ["seq", "timeline"],
        seq: ["xid"],
        timeline: ["xid"],
        commit_lsn: ["xid", "ts"],
        ts: ["xid"],
        encoding: ["content"],
      },
      oneOf: [
        { required: ["content"], properties: { content: true } },
        { required: ["oversize"], properties: { oversize: true } },
      ],
    },
  ),
  commit: kind(
    "The end of a transaction (--transaction-records), behind its changes in each shard that has some.",
    "commit",
    [...PLACE, "changes", "tables", "shards", "streams"],
    [...COMMIT, "messages"],
  ),
};

/**
 * The JSON Schema (2020-12) of a record of the format `JSON`, which `json.ts` writes. No record has a
 * property that is not listed; a new one is a new version of this.
 */
export const JSON_SCHEMA: Schema = {
  $schema: "https://json-schema.org/draft/2020-12/schema",
  $id: "urn:pg2kinesis:json:1",
  title: "A record of pg2kinesis --message-formatter JSON",
  type: "object",
  required: ["op"],
  oneOf: Object.keys(KINDS).map((name) => ({ $ref: `#/$defs/${name}` })),
  $defs: {
    columns: {
      description:
        "Columns by name. Numbers keep every digit: read them with a parser that keeps 64 " +
        "bits. numeric, NaN and the infinities are strings; json and jsonb are embedded.",
      type: "object",
      additionalProperties: true,
    },
    ...KINDS,
  },
};

export function renderJsonSchema(): string {
  return JSON.stringify(JSON_SCHEMA, null, 2) + "\n";
}
