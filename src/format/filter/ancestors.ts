import type { Catalog, KnownTable } from "../../postgres/catalog/known_table.ts";

/** The tables that one is a partition of or inherits from, however far up, and it itself first. */
export function withAncestors(qualifiedName: string, catalog: Catalog): ReadonlySet<string> {
  return follow(qualifiedName, catalog, ({ parents }) => parents);
}

/** The same with those that were its ancestors earlier in this run: some of its changes are of that time. */
export function withFormerAncestors(qualifiedName: string, catalog: Catalog): ReadonlySet<string> {
  return follow(
    qualifiedName,
    catalog,
    ({ parents, formerParents }) => [...parents, ...formerParents],
  );
}

/** The same with what each of them was called earlier in this run: what was hidden stays hidden. */
export function withAllThatItWas(qualifiedName: string, catalog: Catalog): ReadonlySet<string> {
  return follow(
    qualifiedName,
    catalog,
    ({ parents, formerParents, formerNames }) => [...parents, ...formerParents, ...formerNames],
  );
}

function follow(
  qualifiedName: string,
  catalog: Catalog,
  next: (known: KnownTable) => readonly string[],
): ReadonlySet<string> {
  const names = new Set([qualifiedName]);
  // A set also gives what is added while it is walked.
  for (const name of names) {
    const known = catalog.table(name);
    if (known !== undefined) next(known).forEach((other) => names.add(other));
  }
  return names;
}
