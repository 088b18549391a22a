import type { Relation } from "../decode/event.ts";
import { withAncestors } from "../format/filter/ancestors.ts";
import type { Route } from "../options.ts";
import type { Catalog } from "../postgres/catalog/known_table.ts";
import type { PublishedTables } from "../postgres/catalog/published_tables.ts";
import { Destinations } from "./destinations.ts";
import { isStreamName, isTemplate } from "./route.ts";

/**
 * The tables of today that have changes of their own, or of their partitions under their name, of those
 * that are wanted. `published`: undefined where no publication says which.
 */
export function* todaysTables(
  catalog: Catalog,
  isWanted: (table: string) => boolean,
  published: PublishedTables | undefined,
): Generator<Relation> {
  const roots = new Set(published?.roots);
  for (const { schema, table, isPartitioned } of catalog.tables()) {
    const qualifiedName = `${schema}.${table}`;
    if (!isWanted(qualifiedName)) continue;
    if (published === undefined ? isPartitioned : !published.names.has(qualifiedName)) continue;
    // One publication may name a partition, and another the table above it: that one counts.
    if (roots.size > 0 && isBelow(qualifiedName, roots, catalog)) continue;
    yield { schema, table, qualifiedName };
  }
}

function isBelow(name: string, roots: ReadonlySet<string>, catalog: Catalog): boolean {
  return [...withAncestors(name, catalog)].some((other) => other !== name && roots.has(other));
}

/** The streams that templates give tables: those of the rest are known without them. */
export function templateStreams(
  routes: readonly Route[],
  catalog: Catalog,
  tables: () => Iterable<Relation>,
): readonly string[] {
  if (!routes.some(({ of, stream }) => of === "table" && isTemplate(stream ?? ""))) return [];
  const destinations = new Destinations(routes, "", catalog);
  const streams = new Set<string>();
  for (const table of tables()) {
    const { stream, route } = destinations.ofTable(table);
    if (stream && isTemplate(route?.stream ?? "") && isStreamName(stream)) streams.add(stream);
  }
  return [...streams];
}
