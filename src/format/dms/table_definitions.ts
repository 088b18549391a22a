import type { TypeSpec } from "../typed/type_spec.ts";
import { type DmsType, dmsType } from "./dms_types.ts";

/** What is known of a table from its changes. */
export interface TableDefinition {
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  /** In key order; empty where it has none. */
  readonly key: readonly string[];
}

/** A control record's `operation`. */
export type ControlOperation =
  | "create-table"
  | "add-column"
  | "drop-column"
  | "rename-column"
  | "column-type-change"
  | "change-columns";

/** Tables that are made for ever must not fill the memory; one that is forgotten is reported again. */
const MAX_TABLES = 20_000;

/** Finds out when a control record is due: at a table's first change, and when its columns are others. */
export class TableDefinitions {
  readonly #known = new Map<string, TableDefinition>();

  /** Undefined while nothing changed. */
  changeTo(table: string, definition: TableDefinition): ControlOperation | undefined {
    const known = this.#known.get(table);
    if (known === undefined) return "create-table";
    const { columns, key } = definition;
    if (known.columns === columns && sameNames(known.key, key)) return undefined;
    return difference(known, definition);
  }

  remember(table: string, definition: TableDefinition): void {
    const known = this.#known.get(table);
    if (known?.columns === definition.columns && sameNames(known.key, definition.key)) return;
    if (this.#known.size >= MAX_TABLES && !this.#known.has(table)) this.#known.clear();
    this.#known.set(table, definition);
  }
}

function difference(before: TableDefinition, after: TableDefinition): ControlOperation | undefined {
  const was = new Map(before.columns.map(({ name, type }) => [name, type]));
  const is = new Map(after.columns.map(({ name, type }) => [name, type]));
  const added = after.columns.filter(({ name }) => !was.has(name));
  const dropped = before.columns.filter(({ name }) => !is.has(name));
  const retyped = after.columns.filter(({ name, type }) => was.has(name) && was.get(name) !== type);
  const keyChanged = !sameNames(before.key, after.key);
  if (added.length + dropped.length + retyped.length === 0) {
    return keyChanged ? "change-columns" : undefined;
  }
  if (added.length === 1 && dropped.length === 1 && retyped.length === 0) {
    const at = after.columns.indexOf(added[0]!);
    const isRenamed = before.columns[at] === dropped[0] && added[0]!.type === dropped[0]!.type;
    return isRenamed ? "rename-column" : "change-columns";
  }
  if (keyChanged) return "change-columns";
  if (dropped.length + retyped.length === 0) return "add-column";
  if (added.length + retyped.length === 0) return "drop-column";
  return added.length + dropped.length === 0 ? "column-type-change" : "change-columns";
}

function sameNames(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && left.every((name, index) => name === right[index]);
}

/**
 * `{"table-def":{"columns":{…},"primary-key":["id"]}}`. No plugin reports which columns may be NULL: those of
 * the key may not, and of the others it is said that they may.
 */
export function tableDefinitionJson(
  { columns, key }: TableDefinition,
  typeOf: (type: string) => TypeSpec,
): string {
  const each = columns.map(({ name, type }) => {
    const { type: dms, length }: DmsType = dmsType(typeOf(type));
    const width = length === undefined ? "" : `,"length":${length}`;
    return `${JSON.stringify(name)}:{"type":"${dms}"${width},"nullable":${!key.includes(name)}}`;
  });
  const primaryKey = key.length === 0 ? "" : `,"primary-key":${JSON.stringify(key)}`;
  return `{"table-def":{"columns":{${each.join(",")}}${primaryKey}}}`;
}
