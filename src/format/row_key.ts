import { type Column, type Relation, type RowChange, UNCHANGED } from "../decode/event.ts";
import type { Plugin } from "../decode/plugin.ts";
import type { Catalog, KnownTable } from "../postgres/catalog/known_table.ts";
import type { FormatProblem, Unread } from "./formatter.ts";
import { RelationCache } from "./relation_cache.ts";

/** The primary key as one change shows it. */
export interface RowKey {
  readonly kind: "key";
  /** In key order. */
  readonly columns: readonly Column[];
}

/** Which row is asked first for the key's values, where an update may have changed them. */
export type KeyPreference = "old" | "new";

/**
 * Finds the primary key of a change.
 *
 * Its names come from the plugin where it sends them, as they were when the change was made: wal2json
 * (`pk`) and pgoutput (a table with the default replica identity). They are matched as a set with the
 * keys that the catalog knows, and put in that key's order. While the catalog knows no such key it is
 * asked to refresh, once it can see the change; if that does not help, the plugin's order (table order)
 * stands.
 *
 * Otherwise (test_decoding; other replica identities with pgoutput; a deferrable key, which wal2json
 * takes for none) the catalog names the key. The old row of test_decoding shows the columns of the replica
 * identity, and so of the key that the table had then. Without it that is the key which the catalog
 * showed in a reading that saw the change already, else the present one if the change has all its columns,
 * else the first earlier one of which that is true.
 *
 * Whatever the catalog says counts only if it was read late enough to see the last DDL that the plugin
 * shows. test_decoding shows not all, so "no key" counts only from a catalog that could see the change
 * itself, and keys are read again about every second while changes come.
 */
export class RowKeys {
  readonly #tables: RelationCache<TableKeys>;
  /** Keys the catalog was already asked for, as `schema.table` and names. */
  readonly #asked = new Map<string, number>();

  constructor(private readonly plugin: Plugin, private readonly catalog: Catalog) {
    this.#tables = new RelationCache(catalog, (relation) => ({
      known: catalog.table(relation.qualifiedName),
      readFor: 0,
      definedBy: 0,
      pluginNames: undefined,
      ordered: undefined,
    }));
  }

  /**
   * `prefer` says whose key an update carries: `new` takes each column from the new row, or from the
   * old one where its value was not sent; `old` takes them from the old row if it has all of them.
   */
  find(change: RowChange, prefer: KeyPreference): RowKey | FormatProblem | Unread {
    // Its names were looked up together with the row.
    if (change.kind === "read") {
      const names = change.keyNames;
      if (names === undefined) return noKey(change.relation);
      return this.#readNew(change, names) ?? keyNotSent(change, names);
    }
    const table = this.#tables.get(change.relation);
    const pluginNames = change.keyNames;
    const unsent = table.known?.generatedKey;
    if (unsent !== undefined && this.#leavesOut(change, table.known!, unsent)) {
      return this.#isRead(table, change)
        ? generatedKeyNotSent(change.relation, unsent)
        : { kind: "unread", relation: change.relation };
    }
    if (pluginNames?.length === 1) {
      return this.#read(change, pluginNames, prefer) ?? keyNotSent(change, pluginNames);
    }
    if (table.known !== undefined && !this.#isRead(table, change)) {
      return { kind: "unread", relation: change.relation };
    }
    if (pluginNames !== undefined && pluginNames.length > 0) {
      const names = this.#inKeyOrder(table, change, pluginNames);
      if (names === undefined) return unknownKeyOrder(change.relation, pluginNames);
      return this.#read(change, names, prefer) ?? keyNotSent(change, names);
    }
    if (table.known !== undefined) return this.#findInCatalog(change, table.known, prefer);
    // wal2json's empty list stands for no key, but for a deferrable one too.
    return pluginNames === undefined || this.#mustAsk(change, pluginNames)
      ? unknownTable(change.relation)
      : noKey(change.relation);
  }

  /** The key in `oldRow` alone; undefined unless all of it is there. */
  inOldRow(change: RowChange, key: RowKey): RowKey | undefined {
    return this.#readOld(change, key.columns.map((column) => column.name));
  }

  /**
   * pgoutput publishes no generated column before 18, and then only where the publication says so. What
   * it names as the key is the rest of it, which several rows may have in common.
   */
  #leavesOut(change: RowChange, known: KnownTable, unsent: readonly string[]): boolean {
    if (!this.plugin.omitsGenerated) return false;
    const { keyNames } = change;
    const [present = []] = known.keys;
    const isOther = keyNames !== undefined &&
      (keyNames.length >= present.length || keyNames.some((name) => !present.includes(name)));
    return !isOther &&
      unsent.some((name) =>
        change.newColumn(name) === undefined && change.oldColumn(name) === undefined
      );
  }

  #isRead(table: TableKeys, { relation, transaction: { xid }, definedBy }: RowChange): boolean {
    if (table.readFor === xid && table.definedBy === definedBy) return true;
    // test_decoding does not show all DDL, and a change without key may be left out for good.
    const tellsDdl = this.plugin.shownDdl !== "some" || (table.known?.keys[0]?.length ?? 0) > 0;
    const mustSee = tellsDdl ? definedBy : xid;
    if (mustSee !== 0 && !this.catalog.isRead(relation.qualifiedName, mustSee)) return false;
    if (this.plugin.shownDdl === "some") this.catalog.readSoon(relation);
    table.readFor = xid;
    table.definedBy = definedBy;
    return true;
  }

  #findInCatalog(
    change: RowChange,
    known: KnownTable,
    prefer: KeyPreference,
  ): RowKey | FormatProblem {
    const [present] = known.keys;
    const shown = this.#identityShown(change, known);
    if (shown !== undefined) {
      const names = known.keys.find((key) => sameSet(key, shown));
      const key = names && this.#read(change, names, prefer);
      if (key !== undefined) return key;
      if (present !== undefined && present.length > 0) return otherIdentity(change, present, shown);
    }
    const then = keyWhenMade(change, known);
    if (then.length === 0) return noKey(change.relation);
    let hadNone = false;
    for (const names of [then, ...known.keys]) {
      const key = names.length === 0 ? undefined : this.#read(change, names, prefer);
      if (key !== undefined) return key;
      hadNone ||= names.length === 0;
    }
    if (hidesKey(change, known, then)) return keyNotSent(change, then);
    // Perhaps the table had no primary key when this change was made.
    return hadNone ? noKey(change.relation) : unknownKey(change.relation, then, this.plugin);
  }

  /** The columns of the replica identity as the change shows them, where those are the key's. */
  #identityShown(change: RowChange, known: KnownTable): readonly string[] | undefined {
    if (!this.plugin.showsOldIdentity || change.kind === "insert") return undefined;
    if (known.replicaIdentity !== "d" || known.hadOtherIdentity) return undefined;
    return change.oldRow?.map(({ name }) => name);
  }

  #read(change: RowChange, names: readonly string[], prefer: KeyPreference): RowKey | undefined {
    return prefer === "old" && change.kind !== "insert"
      ? this.#readOld(change, names) ?? this.#readNew(change, names)
      : this.#readNew(change, names);
  }

  #readOld(change: RowChange, names: readonly string[]): RowKey | undefined {
    const columns = new Array<Column>(names.length);
    for (let i = 0; i < names.length; i++) {
      const column = change.oldColumn(names[i]!);
      if (!this.#hasValue(column)) return undefined;
      columns[i] = column;
    }
    return { kind: "key", columns };
  }

  #readNew(change: RowChange, names: readonly string[]): RowKey | undefined {
    // Of its size at once: a first `push` would set aside room for 17.
    const columns = new Array<Column>(names.length);
    for (let i = 0; i < names.length; i++) {
      let column = change.newColumn(names[i]!);
      if (!this.#hasValue(column)) column = change.oldColumn(names[i]!);
      if (!this.#hasValue(column)) return undefined;
      columns[i] = column;
    }
    return { kind: "key", columns };
  }

  #hasValue(column: Column | undefined): column is Column {
    if (column === undefined) return false;
    return typeof column.value === "string" ||
      (column.value === null && this.plugin.printsNaNAsNull);
  }

  /** Undefined when the catalog must be asked first. */
  #inKeyOrder(
    table: TableKeys,
    change: RowChange,
    names: readonly string[],
  ): readonly string[] | undefined {
    if (names.length < 2) return names;
    if (table.ordered !== undefined && sameNames(names, table.pluginNames!)) return table.ordered;
    table.pluginNames = names;
    table.ordered = table.known?.keys.find((key) => sameSet(key, names));
    if (table.ordered === undefined && !this.#mustAsk(change, names)) table.ordered = names;
    return table.ordered;
  }

  /** Whether the catalog was read before it could see the change, or not since it was first asked. */
  #mustAsk({ relation, transaction }: RowChange, names: readonly string[]): boolean {
    const key = JSON.stringify([relation.qualifiedName, names]);
    const { version } = this.catalog;
    const askedAt = this.#asked.get(key);
    if (askedAt === undefined) {
      if (this.#asked.size >= MAX_ASKED) this.#asked.clear();
      this.#asked.set(key, version);
    }
    return askedAt === undefined || askedAt === version ||
      !this.catalog.isRead(relation.qualifiedName, transaction.xid);
  }
}

/** An endless series of new tables must not fill the memory; what is forgotten is read again. */
const MAX_ASKED = 50_000;

interface TableKeys {
  readonly known: KnownTable | undefined;
  /** The last change's transaction for which the catalog was read late enough, and its `definedBy`. */
  readFor: number;
  definedBy: number;
  /** What the plugin sent last, and the same names in key order. */
  pluginNames: readonly string[] | undefined;
  ordered: readonly string[] | undefined;
}

/** The key's text: a single value as PostgreSQL printed it, several as the JSON array of their texts. */
export function keyText(key: RowKey): string {
  const { columns } = key;
  if (columns.length === 1) return columns[0]!.value as string | null ?? "null";
  return JSON.stringify(columns.map((column) => column.value));
}

export function sameKey(a: RowKey, b: RowKey): boolean {
  return a.columns.every((column, i) => column.value === b.columns[i]!.value);
}

/**
 * The key that the table had when the change was made, as far as it can be determined; empty for none. Between
 * two readings that showed two keys, the last DDL that the plugin shows decides.
 */
function keyWhenMade(
  { transaction: { xid }, definedBy }: RowChange,
  { keys, formerKeys, keySince }: KnownTable,
): readonly string[] {
  for (let i = formerKeys.length - 1; i >= 0; i--) {
    if (formerKeys[i]!.seenBy(xid)) return formerKeys[i]!.columns;
  }
  const [former] = formerKeys;
  // One that may not have had a key yet is not left out for it.
  if (former !== undefined && former.columns.length > 0 && keySince?.(xid)) {
    if (definedBy === 0 || former.seenBy(definedBy)) return former.columns;
  }
  return keys[0] ?? [];
}

function hidesKey(change: RowChange, known: KnownTable, names: readonly string[]): boolean {
  if (change.kind !== "delete") {
    return names.some((name) => change.newColumn(name)?.value === UNCHANGED);
  }
  // Whatever the catalog says, a delete without any column is one without replica identity.
  return change.oldRow === undefined || known.replicaIdentity === "i" ||
    known.replicaIdentity === "n";
}

function unknownTable({ qualifiedName }: Relation): FormatProblem {
  return {
    kind: "unknown-table",
    table: qualifiedName,
    reason: "pg_catalog does not know this table, so its primary key cannot be found",
  };
}

function unknownKey(
  { qualifiedName }: Relation,
  names: readonly string[],
  plugin: Plugin,
): FormatProblem {
  const list = plugin.usesPublications
    ? "either the publication's column list leaves them out, and they are to be added there, or "
    : "";
  return {
    kind: "unknown-table",
    table: qualifiedName,
    reason: `the change does not have the columns of the primary key (${names.join(", ")}) that ` +
      `pg_catalog knows; ${list}the key was renamed or replaced since`,
  };
}

function generatedKeyNotSent(
  { qualifiedName }: Relation,
  names: readonly string[],
): FormatProblem {
  return {
    kind: "key-not-sent",
    table: qualifiedName,
    reason: `pgoutput does not send ${names.join(", ")} of its primary key, which is generated`,
    hint:
      "use --full-change, another plugin, or, with PostgreSQL 18, publish_generated_columns = stored in " +
      "the publication",
  };
}

function otherIdentity(
  { relation: { qualifiedName } }: RowChange,
  key: readonly string[],
  shown: readonly string[],
): FormatProblem {
  return {
    kind: "unknown-table",
    table: qualifiedName,
    reason:
      `its old row has the columns (${shown.join(", ")}), and none of the primary keys that ` +
      `pg_catalog and this run know, now (${
        key.join(", ")
      }), is made of these; the key was changed ` +
      "since, or the replica identity, which may be set back to what it was until the run is past",
  };
}

function unknownKeyOrder({ qualifiedName }: Relation, names: readonly string[]): FormatProblem {
  return {
    kind: "unknown-table",
    table: qualifiedName,
    reason: `pg_catalog does not know the order of the primary key (${names.join(", ")})`,
  };
}

function noKey({ qualifiedName }: Relation): FormatProblem {
  return { kind: "no-key", table: qualifiedName, reason: "the table has no primary key" };
}

function keyNotSent(change: RowChange, names: readonly string[]): FormatProblem {
  return {
    kind: "key-not-sent",
    table: change.relation.qualifiedName,
    reason: `the table's replica identity keeps its primary key (${names.join(", ")}) out of it`,
  };
}

/** A delete that names no row at all. */
export function nothingSent({ relation: { qualifiedName } }: RowChange): FormatProblem {
  return {
    kind: "key-not-sent",
    table: qualifiedName,
    reason: "the table has no replica identity, so PostgreSQL does not say which row was deleted",
  };
}

function sameNames(a: readonly string[], b: readonly string[]): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

function sameSet(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((name) => b.includes(name));
}
