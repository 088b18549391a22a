import type {
  Column,
  ColumnValue,
  LogicalMessage,
  Relation,
  RowChange,
  TransactionInfo,
  Truncate,
} from "../../src/decode/event.ts";
import type {
  Change,
  EmitRoute,
  FormatProblem,
  Formatter,
  Unread,
} from "../../src/format/formatter.ts";
import { DEFAULT_DMS } from "../../src/format/dms/dms_settings.ts";
import type { FormatOptions } from "../../src/options.ts";
import type { Catalog, KnownTable } from "../../src/postgres/catalog/known_table.ts";
import { holdToSchema } from "./valid_json.ts";

/** A column as `[name, type, value]`. */
export type ColumnSpec = readonly [name: string, type: string, value: ColumnValue];

export const TRANSACTION: TransactionInfo = {
  xid: 731,
  timeline: 1,
  commitLsn: 0x16B3800n,
  commitTime: 1_795_334_462_123_456n,
};

const relations = new Map<string, Relation>();

/** The same object for the same table, as decoders give it. `table` is `schema.table`. */
export function relation(table: string): Relation {
  const dot = table.indexOf(".");
  const known = relations.get(table) ??
    { schema: table.slice(0, dot), table: table.slice(dot + 1), qualifiedName: table };
  relations.set(table, known);
  return known;
}

interface RowSpec {
  table?: string;
  keyNames?: readonly string[];
  newRow?: readonly ColumnSpec[];
  oldRow?: readonly ColumnSpec[];
  transaction?: TransactionInfo;
  definedBy?: number;
  seq?: number;
}

/** A row change made by hand, of `public.t` unless told otherwise. */
export function row(kind: RowChange["kind"], spec: RowSpec): RowChange {
  const newRow = spec.newRow?.map(column);
  const oldRow = spec.oldRow?.map(column);
  return {
    kind,
    lsn: 0x16B3748n,
    transaction: spec.transaction ?? TRANSACTION,
    seq: spec.seq ?? 0,
    relation: relation(spec.table ?? "public.t"),
    definedBy: spec.definedBy ?? 0,
    keyNames: spec.keyNames,
    newRow,
    oldRow,
    newColumn: (name) => newRow?.find((column) => column.name === name),
    oldColumn: (name) => oldRow?.find((column) => column.name === name),
  };
}

function column([name, type, value]: ColumnSpec): Column {
  return { name, type, value };
}

export function truncate(tables: readonly string[], seq = 0): Truncate {
  return {
    kind: "truncate",
    lsn: 0x16B3748n,
    transaction: TRANSACTION,
    seq,
    relations: tables.map(relation),
    cascade: false,
    restartIdentity: false,
  };
}

export function message(content: Uint8Array | string, transactional = true): LogicalMessage {
  return {
    kind: "message",
    lsn: 0x16B3748n,
    transaction: transactional ? TRANSACTION : undefined,
    seq: transactional ? 3 : -1,
    prefix: "audit",
    content: typeof content === "string" ? new TextEncoder().encode(content) : content,
  };
}

/** A catalog made by hand; `schema.table` to what is known of it. */
export class MadeUpCatalog implements Catalog {
  version = 1;
  readonly #tables = new Map<string, KnownTable>();
  /** Names of domains to their base types; all others are none. */
  readonly domains = new Map<string, string>();

  constructor(tables: Readonly<Record<string, Partial<KnownTable>>> = {}) {
    for (const [name, known] of Object.entries(tables)) this.set(name, known);
  }

  domainBase(type: string): string | null {
    return this.domains.get(type) ?? null;
  }

  /** Makes a table known; by default with the primary key `id` and the default replica identity. */
  set(qualifiedName: string, known: Partial<KnownTable>): void {
    const { schema, table } = relation(qualifiedName);
    const { keys = [["id"]], replicaIdentity = "d" } = known;
    this.#tables.set(qualifiedName, {
      schema,
      table,
      keys,
      replicaIdentity,
      identityColumns: replicaIdentity === "d" && keys[0]?.length ? keys[0] : undefined,
      virtualColumns: undefined,
      isPartitioned: false,
      formerKeys: [],
      keySince: undefined,
      hadOtherIdentity: false,
      parents: [],
      formerParents: [],
      formerNames: [],
      ...known,
    });
  }

  table(qualifiedName: string): KnownTable | undefined {
    return this.#tables.get(qualifiedName);
  }

  tables(): Iterable<KnownTable> {
    return this.#tables.values();
  }

  get hasVirtualColumns(): boolean {
    return [...this.#tables.values()].some((table) => table.virtualColumns !== undefined);
  }

  typeName(): string | undefined {
    return undefined;
  }

  /** Whether it was read late enough to see the changes that are asked about. */
  isLateEnough = true;

  /** The transactions that it shows, in place of that. */
  shows: ((xid: number) => boolean) | undefined;

  isRead(_qualifiedName: string, xid: number): boolean {
    return this.shows?.(xid) ?? this.isLateEnough;
  }

  readAgain(): Promise<void> {
    return this.refresh();
  }

  readSoon(): void {}

  loadTypes(): Promise<void> {
    return Promise.resolve();
  }

  refresh(): Promise<void> {
    this.version++;
    return Promise.resolve();
  }
}

export const OPTIONS: FormatOptions = {
  formatter: "CSVPayload",
  fullChange: false,
  partitionKey: { kind: "pkey" },
  tablePattern: undefined,
  includeTables: [],
  excludeTables: [],
  excludeColumns: [],
  maskColumns: [],
  maskSalt: undefined,
  operations: new Set(["insert", "update", "delete", "truncate"]),
  messagePrefixes: ["*"],
  routes: [],
  commitRecords: false,
  recordSeparator: "none",
  debezium: {
    name: "app",
    decimals: "precise",
    tombstones: false,
    nullKey: undefined,
    transactions: false,
    database: "shopdb",
  },
  dms: { ...DEFAULT_DMS, taskId: "task" },
};

/** A user record as it was emitted. */
export interface Emitted {
  readonly key: string;
  readonly data: string;
  readonly route: EmitRoute | undefined;
}

/** What a formatter makes of a change; throws where it gives a problem. */
export function format(formatter: Formatter, change: Change): Emitted[] {
  return recordsOf(tryFormat(formatter, change));
}

export function formatKeyOnly(formatter: Formatter, change: Change): Emitted[] {
  return recordsOf(collect((emit) => formatter.formatKeyOnly(change, emit)));
}

function recordsOf({ records, problem }: ReturnType<typeof tryFormat>): Emitted[] {
  if (problem !== undefined) throw new Error(Deno.inspect(problem));
  return records;
}

export function tryFormat(formatter: Formatter, change: Change) {
  return collect((emit) => formatter.format(change, emit));
}

function collect(
  run: (
    emit: (key: string, data: string | Uint8Array, route?: EmitRoute) => void,
  ) =>
    | FormatProblem
    | Unread
    | undefined,
): { records: Emitted[]; problem: FormatProblem | Unread | undefined } {
  const records: Emitted[] = [];
  const problem = run((key, data, route) => {
    const text = textOf(data);
    holdToSchema(text);
    records.push({ key, data: text, route });
  });
  return { records, problem };
}

/** What a formatter emitted, as text: its bytes are written over by the next record. */
export function textOf(data: string | Uint8Array): string {
  return typeof data === "string" ? data : utf8.decode(data);
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
