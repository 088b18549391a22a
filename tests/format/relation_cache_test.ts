import { assertEquals } from "@std/assert";
import { columnBudget } from "../../src/decode/column_budget.ts";
import type { Relation } from "../../src/decode/event.ts";
import { RelationCache } from "../../src/format/relation_cache.ts";
import type { Catalog } from "../../src/postgres/catalog/known_table.ts";

/** A cache that counts how often it derives. */
function counting() {
  const catalog = { version: 1 };
  const derived: string[] = [];
  const cache = new RelationCache(catalog as Catalog, ({ table }) => derived.push(table));
  return { catalog, derived, cache };
}

function named(table: string): Relation {
  return { schema: "public", table, qualifiedName: `public.${table}` };
}

Deno.test("RelationCache derives once for a table, and anew when the catalog was read again", () => {
  const { catalog, derived, cache } = counting();
  const a = named("a"), b = named("b");
  assertEquals([a, a, b, a, b].map((relation) => cache.get(relation)), [1, 1, 2, 1, 2]);
  catalog.version++;
  assertEquals([a, b].map((relation) => cache.get(relation)), [3, 4]);
  assertEquals(derived, ["a", "b", "a", "b"]);
});

Deno.test("RelationCache holds a bounded number of tables, and derives again what it forgot", () => {
  const { derived, cache } = counting();
  const tables = Array.from({ length: 50_000 }, (_, i) => named(`t${i}`));
  for (const table of tables) cache.get(table);
  assertEquals(derived.length, 50_000);
  cache.get(tables.at(-2)!);
  assertEquals(derived.length, 50_000);
  cache.get(tables[0]!);
  assertEquals(derived.length, 50_001);
});

Deno.test("RelationCache forgets everything when too many columns are remembered", () => {
  const { derived, cache } = counting();
  const a = named("a");
  cache.get(a);
  columnBudget.remember(60_000);
  cache.get(a);
  assertEquals(derived, ["a"]);
  columnBudget.remember(100_000);
  cache.get(a);
  cache.get(a);
  assertEquals(derived, ["a", "a"]);
});
