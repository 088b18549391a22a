import type { Lsn } from "../../base/lsn.ts";
import { XLogData } from "../../base/replication_message.ts";
import { ByteInterner } from "../bytes.ts";
import { columnBudget } from "../column_budget.ts";
import { UnknownTypeError } from "../decoder.ts";
import type { Relation } from "../event.ts";
import type { TypeName } from "../plugin.ts";
import { MessageReader } from "./pgoutput_reader.ts";

export interface PgoutputColumn {
  readonly name: string;
  readonly type: string;
  /** `boolean` itself, whose `t` and `f` become `true` and `false`. */
  readonly isBoolean: boolean;
  /** Part of the replica identity. */
  readonly isKey: boolean;
}

/** A table as its Relation message describes it. */
export interface PgoutputRelation extends Relation {
  readonly columns: readonly PgoutputColumn[];
  /** The primary key, if the replica identity shows it; in table order. */
  readonly keyNames: readonly string[] | undefined;
}

const BOOLEAN_OID = 16;
const IS_KEY = 1;
const REPLICA_IDENTITIES = "dnfi";
/** How many tables are remembered: a database that keeps creating tables must not make this grow forever. */
const MAX_SHARED = 50_000;

/** A table as it was described last. */
export interface Description {
  readonly relation: PgoutputRelation;
  /** The transaction that it was described in. */
  readonly xid: number;
}

/** Types whose names the plugin sent or the catalog supplied; the longest known are forgotten. */
const MAX_TYPES = 10_000;

/** A table as its Relation message describes it, in the fewest bytes. */
interface Described {
  readonly schema: string;
  readonly table: string;
  readonly identity: string;
  /** Number and descriptions of the columns, as the message has them; the same for tables made alike. */
  readonly columns: Uint8Array;
  readonly xid: number;
}

/** What tables made alike have in common, such as partitions. */
interface Shape extends Pick<PgoutputRelation, "columns" | "keyNames"> {
  /** By `schema.table`. */
  readonly tables: Map<string, PgoutputRelation>;
}

/**
 * Remembers the tables that pgoutput describes before it sends their first change, and again when they
 * changed.
 * https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html
 */
export class RelationCache {
  /**
   * Forgets nothing: a walsender describes a table once, and changes of one that was dropped may come
   * long after. A column takes some 20 bytes here, or none in a table that is made like another one.
   */
  #described = new Map<number, Described>();
  #columnLists = new ByteInterner();
  /** What was made of it, until too many columns are remembered. */
  #byOid = new Map<number, Description>();
  /** Equal tables are the same object, whatever their OID: plans of later stages hang on it. */
  #shapes = new Map<Uint8Array, Map<string, Shape>>();
  #shared = 0;
  #epoch = columnBudget.epoch;
  #typeNames = new Map<number, string>();
  #askedFor = new Set<number>();

  constructor(private readonly typeName: TypeName) {}

  /** `message` has the change. */
  get(oid: number, message: XLogData): Description | undefined {
    if (this.#epoch !== columnBudget.epoch) this.#forget();
    return this.#byOid.get(oid) ?? this.#restore(oid, message.walStart);
  }

  /** Relation: OID, schema, table, replica identity, columns; `xid` is the open transaction's. */
  readRelation(reader: MessageReader, xid: number): void {
    const oid = reader.uint32();
    // An empty schema stands for pg_catalog.
    const schema = reader.string() || "pg_catalog";
    const table = reader.string();
    const identity = String.fromCharCode(reader.uint8());
    if (!REPLICA_IDENTITIES.includes(identity)) reader.fail("an unknown replica identity");
    const start = reader.position;
    const columns = this.#readColumns(reader, `${schema}.${table}`);
    const { bytes, end } = reader.message;
    const list = this.#columnLists.intern(bytes, start, end);
    if (this.#epoch !== columnBudget.epoch) this.#forget();
    const described = { schema, table, identity, columns: list, xid };
    this.#described.set(oid, described);
    this.#byOid.set(oid, { relation: this.#intern(described, columns), xid });
  }

  /** Up to the end. */
  #readColumns(reader: MessageReader, table: string): PgoutputColumn[] {
    const columns: PgoutputColumn[] = [];
    let unknown: UnknownTypeError | undefined;
    for (let count = reader.uint16(); count > 0; count--) {
      const column = this.#readColumn(reader, table);
      // All unknown types count as asked for, so that one more try is enough.
      if (column instanceof UnknownTypeError) unknown ??= column;
      else columns.push(column);
    }
    reader.end();
    if (unknown !== undefined) throw unknown;
    return columns;
  }

  /** Reads again what was forgotten. */
  #restore(oid: number, lsn: Lsn): Description | undefined {
    const described = this.#described.get(oid);
    if (described === undefined) return undefined;
    const { schema, table, columns: list, xid } = described;
    const reader = new MessageReader(new XLogData(list), 0, lsn);
    const columns = this.#readColumns(reader, `${schema}.${table}`);
    const description = { relation: this.#intern(described, columns), xid };
    this.#byOid.set(oid, description);
    return description;
  }

  #forget(): void {
    this.#byOid.clear();
    this.#shapes.clear();
    this.#shared = 0;
    this.#epoch = columnBudget.epoch;
  }

  /** Type: OID, schema, name; a domain comes with the name of its base type. */
  readType(reader: MessageReader): void {
    const oid = reader.uint32();
    const schema = reader.string();
    const name = reader.string();
    reader.end();
    this.#typeNames.set(oid, schema === "" ? name : `${schema}.${name}`);
    forgetOldest(this.#typeNames);
  }

  #readColumn(reader: MessageReader, table: string): PgoutputColumn | UnknownTypeError {
    const flags = reader.uint8();
    if ((flags & ~IS_KEY) !== 0) reader.fail("unknown flags of a column");
    const name = reader.string();
    const oid = reader.uint32();
    const typmod = reader.int32();
    const type = this.#nameType(oid, typmod);
    if (type === undefined) {
      this.#askedFor.add(oid);
      forgetOldest(this.#askedFor);
      const position = reader.position - reader.message.dataStart;
      return new UnknownTypeError("pgoutput", reader.lsn, position, { oid, table, column: name });
    }
    return { name, type, isBoolean: oid === BOOLEAN_OID, isKey: (flags & IS_KEY) !== 0 };
  }

  /** A type that is gone for good keeps the plugin's name for it. */
  #nameType(oid: number, typmod: number): string | undefined {
    return this.typeName(oid, typmod) ??
      (this.#askedFor.has(oid) ? this.#typeNames.get(oid) : undefined);
  }

  #intern(described: Described, columns: PgoutputColumn[]): PgoutputRelation {
    const { schema, table } = described;
    const shape = this.#shape(described, columns);
    const qualifiedName = `${schema}.${table}`;
    const known = shape.tables.get(qualifiedName);
    if (known?.schema === schema) return known;
    const { keyNames } = shape;
    const relation = { schema, table, qualifiedName, columns: shape.columns, keyNames };
    if (++this.#shared >= MAX_SHARED) {
      this.#shapes.clear();
      this.#shared = 0;
    }
    shape.tables.set(qualifiedName, relation);
    return relation;
  }

  #shape({ identity, columns: list }: Described, columns: PgoutputColumn[]): Shape {
    let byIdentity = this.#shapes.get(list);
    if (byIdentity === undefined) this.#shapes.set(list, byIdentity = new Map());
    let shape = byIdentity.get(identity);
    // A type may have got another name.
    if (shape === undefined || !sameTypes(shape.columns, columns)) {
      columnBudget.remember(columns.length);
      const keys = columns.filter((column) => column.isKey).map((column) => column.name);
      shape = {
        columns,
        // Only the default identity is the primary key; without flags it may still be a deferrable one.
        keyNames: identity === "d" && keys.length > 0 ? keys : undefined,
        tables: new Map(),
      };
      byIdentity.set(identity, shape);
    }
    return shape;
  }
}

/** Of the same columns. */
function sameTypes(left: readonly PgoutputColumn[], right: readonly PgoutputColumn[]): boolean {
  return left.every((column, index) => column.type === right[index]!.type);
}

function forgetOldest(known: Map<number, unknown> | Set<number>): void {
  if (known.size > MAX_TYPES) known.delete(known.keys().next().value!);
}
