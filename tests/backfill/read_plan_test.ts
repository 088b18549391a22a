import { assertEquals, assertMatch } from "@std/assert";
import type { IndexFacts, TableFacts } from "../../src/backfill/read_facts.ts";
import { isPlan, type PlanOptions, planRead } from "../../src/backfill/read_plan.ts";
import { rowsOfKeys, scanRows } from "../../src/backfill/read_sql.ts";

const COLUMN = { isBoolean: false, isFloating: false, generated: "" } as const;
const GREATER = ["pg_catalog", ">"] as const, EQUAL = ["pg_catalog", "="] as const;

function index(columns: readonly string[], changes: Partial<IndexFacts> = {}): IndexFacts {
  return {
    ...{ isPrimary: true, isIdentity: false, isValid: true, isImmediate: true, isPlain: true },
    columns: columns.map((name) => (
      { name, isNotNull: true, isDefault: true, isDescending: false, later: GREATER, equal: EQUAL }
    )),
    ...changes,
  };
}

function table(changes: Partial<TableFacts> = {}): TableFacts {
  return {
    ...{ oid: 1, schema: "public", table: "t", name: "public.t", kind: "r", isPermanent: true },
    ...{ replicaIdentity: "d", expected: 5, mayUse: true, maySelect: true, isSecured: false },
    ancestors: [],
    columns: ["a", "b", "c"].map((name) => ({ ...COLUMN, name, type: "text", fullType: "text" })),
    indexes: [index(["a"])],
    ...changes,
  };
}

const OPTIONS: PlanOptions = {
  ...{ plugin: "test_decoding", version: 150000, role: "me", needsPrimaryKey: false },
  published: [],
};
const ALL = { insert: true, update: true, delete: true, columns: undefined, filter: undefined };

function why(facts: TableFacts, options: Partial<PlanOptions> = {}): string {
  const plan = planRead(facts, { ...OPTIONS, ...options });
  if (isPlan(plan)) throw new Error("it can be read");
  return `${plan.found}; ${plan.advice}`;
}

function planOf(facts: TableFacts, options: Partial<PlanOptions> = {}) {
  const plan = planRead(facts, { ...OPTIONS, ...options });
  if (!isPlan(plan)) throw new Error(plan.found);
  return plan;
}

Deno.test("planRead says what keeps a table from being read, and what mends it", () => {
  const refused: [Partial<TableFacts>, RegExp, Partial<PlanOptions>?][] = [
    [
      { mayUse: false, maySelect: false },
      /GRANT USAGE ON SCHEMA "public" TO "me"; GRANT SELECT ON TABLE/,
    ],
    [{ isSecured: true }, /row level security .* ALTER ROLE "me" BYPASSRLS;/],
    [{ kind: "v" }, /is a view/],
    [{ isPermanent: false }, /is not logged/],
    [{ indexes: [] }, /has no primary key/],
    [{ indexes: [index(["a"], { isImmediate: false })] }, /is deferrable/],
    [{ indexes: [index(["a"], { isValid: false })] }, /not valid/],
    [{ indexes: [index(["a"], { isPlain: false })] }, /no btree/],
    [{ replicaIdentity: "n" }, /does not tell its key/],
    [
      {
        replicaIdentity: "i",
        indexes: [index(["a"]), index(["b"], { isPrimary: false, isIdentity: true })],
      },
      /does not tell its key/,
    ],
    [
      { replicaIdentity: "i", indexes: [index(["b"], { isPrimary: false, isIdentity: true })] },
      /no primary key, which is all that the format publishes/,
      { needsPrimaryKey: true },
    ],
    [
      { columns: [{ ...COLUMN, name: "a", type: "real", fullType: "real", isFloating: true }] },
      /not exact before PostgreSQL 12/,
      { version: 110000 },
    ],
    [{}, /no publication of the run has public\.t/, { plugin: "pgoutput" }],
    [
      {},
      /leave out the updates and deletes of public\.t/,
      {
        plugin: "pgoutput",
        published: [{ ...ALL, name: "public.t", update: false, delete: false }],
      },
    ],
    [
      {},
      /leave out a, a column of the key/,
      { plugin: "pgoutput", published: [{ ...ALL, name: "public.t", columns: ["b"] }] },
    ],
    [
      { ancestors: [{ name: "public.root", key: ["a", "b"] }] },
      /is published as public\.root, which has not its primary key/,
      { plugin: "pgoutput", published: [{ ...ALL, name: "public.root" }] },
    ],
  ];
  for (const [changes, pattern, options] of refused) {
    assertMatch(why(table(changes), options), pattern);
  }
});

Deno.test("planRead takes what the publications send of a table, under their name for it", () => {
  const plan = planOf(table({ ancestors: [{ name: "shop.root", key: ["a"] }] }), {
    plugin: "pgoutput",
    published: [
      { ...ALL, name: "public.t" },
      { ...ALL, name: "shop.root", columns: ["a", "c"], filter: "(c > 5)" },
      { ...ALL, name: "shop.root", columns: ["a", "c"], filter: "(c < 2)" },
      { ...ALL, name: "shop.root", columns: ["a", "c"], insert: false },
    ],
  });
  assertEquals(plan.relation, { schema: "shop", table: "root", qualifiedName: "shop.root" });
  assertEquals(plan.columns.map(({ name }) => name), ["a", "c"]);
  assertEquals(plan.filter, "((c > 5)) OR ((c < 2))");
  const free = [{ ...ALL, name: "public.t" }, { ...ALL, name: "public.t", filter: "(c > 5)" }];
  assertEquals(planOf(table(), { plugin: "pgoutput", published: free }).filter, undefined);
});

Deno.test("scanRows orders by the key and goes on behind it, by the index's own operators", () => {
  const two = planOf(table({ indexes: [index(["a", "b"])] }));
  assertEquals(
    scanRows(two, new Set(["c"]), ["x", "o'y"]),
    'SELECT t."a", t."b", NULL, t."a", t."b", true FROM ONLY "public"."t" AS t ' +
      `WHERE ROW(t."a", t."b") OPERATOR("pg_catalog".>) ROW('x', 'o''y') ` +
      'ORDER BY t."a" ASC, t."b" ASC',
  );
  const mixed = index(["a", "b"]);
  const own = { ...mixed.columns[0]!, later: ["ext", ">"], equal: ["ext", "="] } as const;
  const plan = planOf(table({ indexes: [{ ...mixed, columns: [own, mixed.columns[1]!] }] }));
  assertMatch(
    scanRows(plan, new Set(), ["x", "y"]),
    /WHERE \(t\."a" OPERATOR\("ext"\.>\) 'x'\) OR \(t\."a" OPERATOR\("ext"\.=\) 'x' AND t\."b" OPERATOR\("pg_catalog"\.>\) 'y'\)/,
  );
});

Deno.test("rowsOfKeys asks for each key by itself", () => {
  const plan = planOf(table());
  const one = (value: string) =>
    '(SELECT t."a", t."b", t."c", t."a", true FROM ONLY "public"."t" AS t ' +
    `WHERE t."a" OPERATOR("pg_catalog".=) ${value})`;
  assertEquals(
    rowsOfKeys(plan, new Set(), [["1"], ["2"]]),
    `${one("'1'")} UNION ALL ${one("'2'")}`,
  );
});
