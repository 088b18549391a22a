import { assertEquals } from "@std/assert";
import { judge } from "../../src/check/part_checks.ts";
import { readPartFilter } from "../../src/postgres/catalog/part_filter.ts";
import { splitColumns } from "../../src/postgres/catalog/split_columns.ts";

const printed = (columns: string, part: number, parts = 3) =>
  `(abs(mod(hash_record_extended(ROW(${columns}), (0)::bigint), (${parts})::bigint)) = ${part})`;

Deno.test("readPartFilter takes a part's filter, and no other", () => {
  assertEquals(readPartFilter(printed('id, "a, b"', 1)), {
    columns: 'id, "a, b"',
    part: 1,
    parts: 3,
  });
  for (
    const other of ["(id > 3)", `(${printed("id", 1)} AND (id > 3))`, printed("id", 1).slice(1)]
  ) {
    assertEquals(readPartFilter(other), undefined, other);
  }
});

Deno.test("judge finds what is in two parts, what is in none, and what it cannot tell", () => {
  const of = (...filters: (string | undefined)[]) =>
    filters.map((filter, index) => ({ publication: `p_${index}`, filter }));
  const fine = { isTwice: false, missing: [], isUnknown: false };
  const parts = [printed("id", 0), printed("id", 1), printed("id", 2)];
  assertEquals(judge(of(...parts), 3), fine);
  assertEquals(judge(of(undefined), 3), fine);
  assertEquals(judge(of(undefined, undefined), 3), { ...fine, isTwice: true });
  assertEquals(judge(of(parts[0], undefined), 3), { ...fine, isTwice: true });
  assertEquals(judge(of(parts[0], parts[2]), 3), { ...fine, missing: [1] });
  assertEquals(judge(of(parts[0], parts[0], parts[2]), 3), {
    ...fine,
    isTwice: true,
    missing: [1],
  });
  assertEquals(judge(of(parts[0], parts[1], printed("id", 2, 4)), 3), { ...fine, isUnknown: true });
  assertEquals(judge(of(parts[0], parts[1], printed("no", 2)), 3), { ...fine, isUnknown: true });
  assertEquals(judge(of(parts[0], parts[1], "(id > 7)"), 3), { ...fine, isUnknown: true });
});

Deno.test("splitColumns takes columns of the key that every holder's replica identity has", () => {
  const facts = (key: Record<string, boolean>, identity?: readonly string[]) => ({
    key: Object.entries(key).map(([name, isUsable]) => ({ name, isUsable })),
    identity,
    writes: 0,
  });
  const table = facts({ tenant: true, mood: false, id: true }, ["tenant", "mood", "id"]);
  assertEquals(splitColumns(table, [table]), { columns: ["tenant", "id"] });
  assertEquals(splitColumns(table, [table, facts({}, ["id", "other"])]), { columns: ["id"] });
  assertEquals(splitColumns(table, [facts({})]), { columns: ["tenant", "id"] });
  assertEquals(splitColumns(table, []), { columns: ["tenant", "id"] });
  for (const none of [facts({}), facts({ mood: false }), facts({ id: true }, ["other"])]) {
    assertEquals("why" in splitColumns(none, [none]), true);
  }
});
