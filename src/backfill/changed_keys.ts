import { type RowChange, UNCHANGED } from "../decode/event.ts";

/** The keys that a change is about, by the names that its table's key has. */
export interface ChangedKeys {
  readonly old: string | undefined;
  readonly new: string | undefined;
  /** Of the new key, in key order. */
  readonly newValues: readonly string[] | undefined;
}

/** One text for the values of a key, in key order. */
export function keyText(values: readonly (string | null)[]): string {
  return values.length === 1 ? values[0] ?? "null" : JSON.stringify(values);
}

/** Undefined where the change does not tell. */
export function changedKeys(change: RowChange, names: readonly string[]): ChangedKeys | undefined {
  const oldValues = change.kind === "insert"
    ? undefined
    : valuesOf(names, (name) => change.oldColumn(name)?.value);
  const old = oldValues && keyText(oldValues);
  if (change.kind === "delete") {
    return old === undefined ? undefined : { old, new: undefined, newValues: undefined };
  }
  const newValues = valuesOf(names, (name) => {
    const value = change.newColumn(name)?.value;
    return value === undefined || value === UNCHANGED ? change.oldColumn(name)?.value : value;
  });
  if (newValues === undefined) return undefined;
  const text = keyText(newValues);
  // An update without an old row left its key alone.
  return { old: change.kind === "insert" ? undefined : old ?? text, new: text, newValues };
}

/** A key has no NULLs; where wal2json prints one, it stands for a NaN. */
function valuesOf(
  names: readonly string[],
  valueOf: (name: string) => unknown,
): string[] | undefined {
  const values: string[] = [];
  for (const name of names) {
    const value = valueOf(name);
    if (typeof value !== "string") return undefined;
    values.push(value);
  }
  return values;
}
