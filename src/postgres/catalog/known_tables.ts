import { getLogger } from "@logtape/logtape";
import type { TextRow } from "../connection/text_row.ts";
import type { FormerKey, KnownTable } from "./known_table.ts";
import type { Snapshot } from "./transaction_snapshot.ts";

const logger = getLogger(["pg2kinesis", "postgres"]);

/** Of one name. Changes still to come were made under the last few. */
const MAX_KEPT = 8;
/** Names of tables that are gone; the longest gone are forgotten first. */
const MAX_GONE_TABLES = 10_000;

/** All tables that a run has seen, as the catalog showed them last and before. */
export class KnownTables {
  hasVirtualColumns = false;
  #present: Map<string, KnownTable> = new Map();
  /** In the order in which they went. */
  readonly #gone: Map<string, KnownTable> = new Map();
  /** Of present tables and of those that are gone, by name: it stays when a table is renamed. */
  readonly #oids: Map<string, string> = new Map();
  /** By OID, the name under which a present table was read last. */
  #names: Map<string, string> = new Map();

  table(qualifiedName: string): KnownTable | undefined {
    return this.#present.get(qualifiedName) ?? this.#gone.get(qualifiedName);
  }

  present(): Iterable<KnownTable> {
    return this.#present.values();
  }

  /** Takes what was read of all tables; `readBefore` gives what was seen when a table was read before. */
  replace(
    rows: readonly TextRow[],
    snapshot: Snapshot,
    readBefore: (qualifiedName: string) => Snapshot | undefined,
  ): void {
    const present = new Map<string, KnownTable>();
    const byOid = new Map<string, KnownTable>();
    const names = new Map<string, string>();
    for (const row of rows) {
      const name = nameOf(row);
      const twin = present.get(name);
      if (twin !== undefined) {
        logger.warn("two tables have the name {name}, one with a dot in its own name", { name });
      }
      const table = twin === undefined
        ? this.#tableOf(row, snapshot, readBefore(name))
        : { ...twin, keys: joinLists([list(row.key) ?? []], twin.keys, sameNames) };
      present.set(name, table);
      byOid.set(row.oid!, table);
      names.set(row.oid!, name);
      this.#oids.set(name, row.oid!);
    }
    for (const [name, table] of this.#present) {
      if (!present.has(name)) this.#gone.set(name, table);
    }
    for (const name of present.keys()) this.#gone.delete(name);
    this.#present = present;
    this.#names = names;
    this.#followRenamed(byOid);
    this.#forgetLongGone();
  }

  /**
   * Takes what was read of some tables: of those that were `asked` for, by name, and of the parents of
   * those that are there. Gives whether anything is not as it was.
   */
  update(
    asked: readonly string[],
    rows: readonly TextRow[],
    snapshot: Snapshot,
    readBefore: (qualifiedName: string) => Snapshot | undefined,
  ): boolean {
    let hasChanged = false;
    const byOid = new Map<string, KnownTable>();
    const found = new Set<string>();
    for (const row of rows) {
      const name = nameOf(row);
      const earlier = this.#present.get(name);
      const table = this.#tableOf(row, snapshot, readBefore(name));
      found.add(name);
      byOid.set(row.oid!, table);
      if (earlier !== undefined && isSame(table, earlier) && this.#oids.get(name) === row.oid) {
        continue;
      }
      hasChanged = true;
      this.#present.set(name, table);
      this.#gone.delete(name);
      this.#oids.set(name, row.oid!);
      this.#names.set(row.oid!, name);
    }
    for (const name of asked) {
      const table = found.has(name) ? undefined : this.#present.get(name);
      if (table === undefined) continue;
      hasChanged = true;
      this.#present.delete(name);
      this.#gone.set(name, table);
    }
    if (hasChanged) {
      this.#followRenamed(byOid);
      this.#forgetLongGone();
    }
    return hasChanged;
  }

  /**
   * A table that has another name now may have had its present key before it was renamed: changes of
   * that time still come under the old name.
   */
  #followRenamed(present: ReadonlyMap<string, KnownTable>): void {
    for (const [name, gone] of this.#gone) {
      const renamed = present.get(this.#oids.get(name)!);
      if (renamed === undefined) continue;
      const keys = joinLists(gone.keys, renamed.keys, sameNames);
      this.#gone.set(name, { ...gone, keys });
    }
  }

  #forgetLongGone(): void {
    for (const name of this.#gone.keys()) {
      if (this.#gone.size <= MAX_GONE_TABLES) break;
      this.#gone.delete(name);
      this.#oids.delete(name);
    }
  }

  /** `readBefore`: what was seen when the same name was read before. */
  #tableOf(row: TextRow, snapshot: Snapshot, readBefore: Snapshot | undefined): KnownTable {
    const name = nameOf(row);
    const earlier = this.table(name);
    const key = list(row.key) ?? [];
    const parents = (list<[string, string]>(row.parents) ?? [])
      .map(([schema, table]) => `${schema}.${table}`);
    const virtualColumns = list(row.virtual);
    const generatedKey = list(row.generated_key);
    this.hasVirtualColumns ||= virtualColumns !== undefined;
    const calledBefore = this.#names.get(row.oid!);
    const formerNames = calledBefore === undefined || calledBefore === name ? [] : [calledBefore];
    const table = {
      schema: row.schema!,
      table: row.name!,
      isPartitioned: row.kind === "p",
      keys: joinLists([key], earlier?.keys ?? [], sameNames),
      formerKeys: earlier?.formerKeys ?? [],
      replicaIdentity: row.identity as KnownTable["replicaIdentity"],
      keySince: earlier?.keySince,
      hadOtherIdentity: earlier !== undefined &&
        (earlier.hadOtherIdentity || earlier.replicaIdentity !== row.identity),
      identityColumns: list(row.identity_key),
      virtualColumns,
      ...generatedKey === undefined ? {} : { generatedKey },
      parents,
      formerParents: joinLists(
        (earlier?.parents ?? []).filter((parent) => !parents.includes(parent)),
        earlier?.formerParents ?? [],
      ),
      formerNames: joinLists(formerNames, earlier?.formerNames ?? []),
    };
    const had = earlier?.keys[0];
    if (had === undefined || sameNames(had, key)) return table;
    const former: FormerKey[] = readBefore === undefined
      ? []
      : [{ columns: had, seenBy: readBefore }];
    return {
      ...table,
      formerKeys: [...former, ...table.formerKeys].slice(0, MAX_KEPT),
      keySince: snapshot,
    };
  }
}

function nameOf(row: TextRow): string {
  return `${row.schema}.${row.name}`;
}

/** Each once, the first ones first. */
function joinLists<T>(
  first: readonly T[],
  then: readonly T[],
  isSame: (left: T, right: T) => boolean = (left, right) => left === right,
): readonly T[] {
  const others = then.filter((each) => !first.some((known) => isSame(known, each)));
  return [...first, ...others].slice(0, MAX_KEPT);
}

/** A JSON list. */
function list<T = string>(text: string | null | undefined): T[] | undefined {
  return text === null || text === undefined ? undefined : JSON.parse(text);
}

function sameNames(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && left.every((name, index) => name === right[index]);
}

/** But for snapshots, which are only ever taken over or come with another key. */
function isSame(left: KnownTable, right: KnownTable): boolean {
  return left.formerKeys === right.formerKeys && JSON.stringify(left) === JSON.stringify(right);
}
