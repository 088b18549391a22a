import { assertEquals, assertMatch } from "@std/assert";
import type { IndexFacts, TableFacts } from "../../src/backfill/read_facts.ts";
import type { PublishedBy } from "../../src/backfill/publication_facts.ts";
import { isPlan, planRead } from "../../src/backfill/read_plan.ts";
import type { Follows } from "../../src/backfill/table_obstacles.ts";
import { rowsOfKeys, scanRows, unreadColumns } from "../../src/backfill/read_sql.ts";

const COLUMN = { isBoolean: false, isFloating: false, generated: "" } as const;
const GREATER = ["pg_catalog", ">"] as const, EQUAL = ["pg_catalog", "="] as const;
const TEXT = ["pg_catalog", "text"] as const, CAST = '::"pg_catalog"."text"';

function index(columns: readonly string[], changes: Partial<IndexFacts> = {}): IndexFacts {
  return {
    ...{ name: "i", isPrimary: true, isIdentity: false, isValid: true, isImmediate: true },
    ...{ method: "btree", isPlain: true },
    columns: columns.map((name) => ({
      ...{ name, isNotNull: true, isDefault: true, isDescending: false, isNullsFirst: false },
      ...{ later: GREATER, equal: EQUAL, type: TEXT, runsChecks: false },
    })),
    ...changes,
  };
}

function table(changes: Partial<TableFacts> = {}): TableFacts {
  return {
    ...{ oid: 1, schema: "public", table: "t", name: "public.t", kind: "r", persistence: "p" },
    ...{ role: "me", owner: "owner" },
    ...{ replicaIdentity: "d", mayUse: true, maySelect: true, isSecured: false },
    ancestors: [],
    columns: ["a", "b", "c"].map((name) => ({ ...COLUMN, name, type: "text", fullType: "text" })),
    indexes: [index(["a"])],
    ...changes,
  };
}

interface Options extends Partial<Follows> {
  readonly published?: readonly PublishedBy[];
}
const OPTIONS: Follows = { plugin: "test_decoding", version: 150000, publications: ["p"] };
const ALL: PublishedBy = {
  ...{ name: "p", level: 0, schema: "public", table: "t", generated: false },
  ...{ insert: true, update: true, delete: true, columns: null, filter: null },
};
const ROOT = { ...ALL, level: 1, schema: "shop", table: "root" };

function planned(facts: TableFacts, { published = [], ...follows }: Options) {
  return planRead(facts, published, { ...OPTIONS, ...follows });
}

function why(facts: TableFacts, options: Options = {}): string {
  const plan = planned(facts, options);
  if (isPlan(plan)) throw new Error("it can be read");
  return plan.reason;
}

function planOf(facts: TableFacts, options: Options = {}) {
  const plan = planned(facts, options);
  if (!isPlan(plan)) throw new Error(plan.reason);
  return plan;
}

function below(key: readonly string[]): Pick<TableFacts, "ancestors"> {
  return { ancestors: [{ name: "shop.root", schema: "shop", table: "root", key }] };
}

Deno.test("planRead says what keeps a table from being read, and what mends it", () => {
  const refused: [Partial<TableFacts>, RegExp, Options?][] = [
    [
      { mayUse: false, maySelect: false },
      /GRANT USAGE ON SCHEMA "public" TO "me";.*GRANT SELECT ON "public"\."t" TO "me";/,
    ],
    [{ isSecured: true }, /row level security.* ALTER ROLE "me" BYPASSRLS;/],
    [{ kind: "v" }, /is a view/],
    [{ persistence: "u" }, /is unlogged.*SET LOGGED/],
    [{ kind: "p", indexes: [] }, /has no rows itself/],
    [{ indexes: [] }, /has no primary key/],
    [{ indexes: [index(["a"], { isImmediate: false })] }, /is DEFERRABLE/],
    [{ indexes: [index(["a"], { isValid: false })] }, /not valid; run REINDEX/],
    [{ indexes: [index(["a"], { isPlain: false })] }, /has no order/],
    [{ replicaIdentity: "n" }, /has REPLICA IDENTITY NOTHING.*do not tell the key/],
    [
      {
        indexes: [{
          ...index(["a"]),
          columns: [{ ...index(["a"]).columns[0]!, isNullsFirst: true }],
        }],
      },
      /another order/,
    ],
    [
      {
        replicaIdentity: "i",
        indexes: [index(["a"]), index(["b"], { isPrimary: false, isIdentity: true })],
      },
      /replica identity without the primary key/,
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
    [{}, /is not in "p"; run ALTER PUBLICATION "p" ADD TABLE ONLY/, { plugin: "pgoutput" }],
    [
      {},
      /is published without its updates and deletes/,
      {
        plugin: "pgoutput",
        published: [{ ...ALL, update: false, delete: false }],
      },
    ],
    [
      {},
      /is published without a, a column of its key/,
      { plugin: "pgoutput", published: [{ ...ALL, columns: ["b"] }] },
    ],
    [
      below(["a", "b"]),
      /is published as shop\.root, which does not have its key/,
      { plugin: "pgoutput", published: [ROOT] },
    ],
  ];
  for (const [changes, pattern, options] of refused) {
    assertMatch(why(table(changes), options), pattern);
  }
});

Deno.test("planRead takes what the publications send of a table, under their name for it", () => {
  const plan = planOf(table(below(["a"])), {
    plugin: "pgoutput",
    published: [
      ALL,
      { ...ROOT, columns: ["a", "c"], filter: "(c > 5)" },
      { ...ROOT, columns: ["a", "c"], filter: "(c < 2)" },
      { ...ROOT, columns: ["a", "c"], insert: false },
    ],
  });
  assertEquals(plan.relation, { schema: "shop", table: "root", qualifiedName: "shop.root" });
  assertEquals(plan.columns.map(({ name }) => name), ["a", "c"]);
  assertEquals(plan.filter, "((c > 5)) OR ((c < 2))");
  const free = [ALL, { ...ALL, filter: "(c > 5)" }];
  assertEquals(planOf(table(), { plugin: "pgoutput", published: free }).filter, undefined);
});

Deno.test("scanRows orders by the key and goes on behind it, by the index's own operators", () => {
  const two = planOf(table({ indexes: [index(["a", "b"])] }));
  assertEquals(
    scanRows(two, new Set(["c"]), ["x", "o'y"]),
    'SELECT t."a", t."b", NULL, t."a", t."b", true FROM ONLY "public"."t" AS t ' +
      `WHERE ROW(t."a", t."b") OPERATOR("pg_catalog".>) ROW('x'${CAST}, 'o''y'${CAST}) ` +
      'ORDER BY t."a" ASC, t."b" ASC',
  );
  const mixed = index(["a", "b"]);
  const own = { ...mixed.columns[0]!, later: ["ext", ">"], equal: ["ext", "="] } as const;
  const plan = planOf(table({ indexes: [{ ...mixed, columns: [own, mixed.columns[1]!] }] }));
  assertMatch(
    scanRows(plan, new Set(), ["x", "y"]),
    /WHERE \(t\."a" OPERATOR\("ext"\.>\) 'x'[^ ]*\) OR \(t\."a" OPERATOR\("ext"\.=\) 'x'[^ ]* AND t\."b" OPERATOR\("pg_catalog"\.>\) 'y'[^ ]*\)/,
  );
});

Deno.test("unreadColumns are all but the key where a format publishes nothing else", () => {
  const plan = planOf(table());
  assertEquals([...unreadColumns(plan, new Set(["c"]), true)], ["b", "c"]);
  assertEquals([...unreadColumns(plan, new Set(["c"]), false)], ["c"]);
});

Deno.test("rowsOfKeys asks for each key by itself", () => {
  const plan = planOf(table());
  const one = (value: string) =>
    '(SELECT t."a", t."b", t."c", t."a", true FROM ONLY "public"."t" AS t ' +
    `WHERE t."a" OPERATOR("pg_catalog".=) ${value}${CAST})`;
  assertEquals(
    rowsOfKeys(plan, new Set(), [["1"], ["2"]]),
    `${one("'1'")} UNION ALL ${one("'2'")}`,
  );
});
