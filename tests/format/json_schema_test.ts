import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { fileURLToPath } from "node:url";
import { JSON_SCHEMA, renderJsonSchema } from "../../src/format/json_schema.ts";
import { faultOf, holdToSchema } from "../support/valid_json.ts";

const PLACE = { v: 1, xid: 731, lsn: "0/16B3748", seq: 0, timeline: 1 };
const COMMITTED = {
  ...PLACE,
  ...{ commit_lsn: "0/16B3800", ts: "2026-11-22T08:01:02.123456Z" },
};
const TABLE = { schema: "public", table: "orders" };

/** A record of each kind, with everything that it may have. */
const FULL: readonly Readonly<Record<string, unknown>>[] = [
  {
    ...{ op: "insert", ...COMMITTED, ...TABLE, key: { id: 2 }, moved_from: { id: 1 } },
    ...{ after: { id: 2 }, unchanged: ["note"] },
  },
  {
    ...{ op: "update", ...COMMITTED, ...TABLE, key: { id: 2 }, moved_from: { id: 1 } },
    ...{ before: { id: 1 }, after: { id: 2 }, unchanged: ["note"] },
  },
  {
    ...{ op: "delete", ...COMMITTED, ...TABLE, key: { id: 1 }, moved_to: { id: 2 } },
    ...{ before: { id: 1, note: null } },
  },
  { op: "read", ...COMMITTED, ...TABLE, request: "5f0c", key: { id: 1 }, after: { id: 1 } },
  { op: "truncate", ...COMMITTED, ...TABLE },
  { op: "backfill", ...COMMITTED, ...TABLE, request: "5f0c", rows: 1, complete: true },
  { op: "message", ...COMMITTED, prefix: "app", content: "AA==", encoding: "base64" },
  {
    ...{ op: "commit", ...COMMITTED, changes: 3, tables: { "public.orders": 3 }, messages: 1 },
    ...{ shards: 2, streams: 1 },
  },
];

/** What every record of a kind has. */
const REQUIRED: Readonly<Record<string, readonly string[]>> = {
  insert: ["schema", "table"],
  update: ["schema", "table"],
  delete: ["schema", "table"],
  read: ["schema", "table", "request"],
  truncate: ["schema", "table"],
  backfill: ["schema", "table", "request", "rows", "complete"],
  message: ["prefix"],
  commit: ["changes", "tables", "shards", "streams"],
};

const without = (record: object, ...names: string[]) =>
  Object.fromEntries(Object.entries(record).filter(([name]) => !names.includes(name)));

for (const record of FULL) {
  const { op } = record;
  Deno.test(`the JSON Schema takes ${op} and nothing that ${op} does not have`, () => {
    assertEquals(faultOf(record), undefined);
    assertEquals(faultOf(without(record, "commit_lsn", "ts")), undefined);
    assertStringIncludes(faultOf({ ...record, extra: 1 })!, "additional");
    for (const name of ["v", "xid", "lsn", "seq", "timeline", ...REQUIRED[op as string]!]) {
      assert(faultOf(without(record, name)) !== undefined, `${op} without ${name}`);
    }
    for (
      const wrong of [{ v: 2 }, { lsn: "16B3748" }, { seq: -1 }, { xid: "731" }, { ts: "today" }]
    ) assert(faultOf({ ...record, ...wrong }) !== undefined, Deno.inspect(wrong));
    const parts = new Set(FULL.flatMap((other) => Object.keys(other)));
    for (const part of parts) {
      const other = FULL.find((other) => part in other)!;
      if (!(part in record)) {
        assert(faultOf({ ...record, [part]: other[part] }) !== undefined, `${op} with ${part}`);
      }
    }
  });
}

Deno.test("the JSON Schema takes a record that is reduced to its key, and then no values", () => {
  const large = { ...COMMITTED, ...TABLE, key: { id: 1 }, oversize: true };
  for (const op of ["insert", "update", "delete"]) {
    assertEquals(faultOf({ op, ...large }), undefined);
    assertEquals(faultOf({ op, ...without(large, "key") }), undefined);
    if (op !== "delete") assert(faultOf({ op, ...large, after: {} }) !== undefined);
  }
  const message = { op: "message", ...COMMITTED, prefix: "app" };
  assertEquals(faultOf({ ...message, oversize: true }), undefined);
  assert(faultOf({ ...message, oversize: true, content: "x" }) !== undefined);
  assert(faultOf(message) !== undefined);
});

Deno.test("the JSON Schema knows a message outside of a transaction, and no half of a place", () => {
  const alone = { v: 1, op: "message", lsn: "0/16B3748", prefix: "app", content: "x" };
  assertEquals(faultOf(alone), undefined);
  for (const [name, value] of Object.entries(without(COMMITTED, "v", "lsn"))) {
    assert(faultOf({ ...alone, [name]: value }) !== undefined, name);
  }
});

Deno.test("holdToSchema reads JSON only, and says what is wrong", () => {
  holdToSchema("0,CDC,731,public.orders,INSERT,17");
  holdToSchema(JSON.stringify({ data: {}, metadata: {} }));
  const { op, v, ...rest } = { ...FULL[0]!, extra: 1 } as Record<string, unknown>;
  const error = assertThrows(() => holdToSchema(JSON.stringify({ v, op, ...rest })), Error);
  assertStringIncludes(error.message, '"additionalProperty":"extra"');
});

Deno.test("the records in the documents are by the JSON Schema", async () => {
  let found = 0;
  for (const name of ["formats", "consuming"]) {
    const path = fileURLToPath(new URL(`../../docs/${name}.md`, import.meta.url));
    const text = await Deno.readTextFile(path);
    for (const [example] of text.matchAll(/^ {4}\{"v":1,(?:.*\n)+?.*\}$/gm)) {
      const record = example.replaceAll("{…}", "{}").replace('"ts":"…"', `"ts":"${COMMITTED.ts}"`)
        .replace('"backfill", …,', `"backfill",${JSON.stringify(COMMITTED).slice(7, -1)},`);
      holdToSchema(record.replace(/\s*\n\s*/g, "").trim());
      found++;
    }
  }
  assertEquals(found, 4);
});

Deno.test("renderJsonSchema prints the schema", () => {
  assertEquals(JSON.parse(renderJsonSchema()), JSON_SCHEMA);
});
