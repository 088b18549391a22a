import { assertEquals } from "@std/assert";
import { type RowChange, UNCHANGED } from "../../src/decode/event.ts";
import { type KeyPreference, keyText, RowKeys } from "../../src/format/row_key.ts";
import { PLUGINS } from "../../src/decode/plugins.ts";
import type { OutputPlugin } from "../../src/options.ts";
import { MadeUpCatalog, row } from "../support/made_up_changes.ts";

/** The key's text, or the problem's kind in angle brackets. */
function find(keys: RowKeys, change: RowChange, prefer: KeyPreference = "new"): string {
  const found = keys.find(change, prefer);
  return found.kind === "key" ? keyText(found) : `<${found.kind}>`;
}

const AB = [["a", "integer", "1"], ["b", "integer", "2"]] as const;

Deno.test("RowKeys.find takes a single name from the plugin without asking the catalog", () => {
  const keys = new RowKeys(PLUGINS.wal2json, new MadeUpCatalog());
  assertEquals(find(keys, row("insert", { keyNames: ["b"], newRow: AB })), "2");
});

Deno.test("RowKeys.find follows the plugin when a key's column is renamed", () => {
  const keys = new RowKeys(PLUGINS.pgoutput, new MadeUpCatalog({ "public.t": { keys: [["a"]] } }));
  assertEquals(find(keys, row("insert", { keyNames: ["a"], newRow: AB })), "1");
  assertEquals(find(keys, row("insert", { keyNames: ["b"], newRow: AB })), "2");
  assertEquals(find(keys, row("insert", { keyNames: ["a"], newRow: AB })), "1");
});

Deno.test("RowKeys.find orders the plugin's names as the catalog's key of the same columns, earlier ones too", () => {
  const catalog = new MadeUpCatalog({ "public.t": { keys: [["x"], ["a"], ["b", "a"]] } });
  const keys = new RowKeys(PLUGINS.pgoutput, catalog);
  assertEquals(find(keys, row("insert", { keyNames: ["a", "b"], newRow: AB })), '["2","1"]');
});

Deno.test("RowKeys.find asks once for a refresh when the order of a key is not known, then takes the plugin's", async () => {
  const catalog = new MadeUpCatalog();
  const keys = new RowKeys(PLUGINS.wal2json, catalog);
  const change = row("insert", { keyNames: ["a", "b"], newRow: AB });
  assertEquals(find(keys, change), "<unknown-table>");
  assertEquals(find(keys, change), "<unknown-table>", "the catalog was not read again");
  await catalog.refresh();
  assertEquals(find(keys, change), '["1","2"]');
  await catalog.refresh();
  assertEquals(find(keys, change), '["1","2"]', "asked a second time");
});

Deno.test("RowKeys.find asks again as long as the catalog cannot see the change", async () => {
  const catalog = new MadeUpCatalog();
  const keys = new RowKeys(PLUGINS.wal2json, catalog);
  const change = row("insert", { keyNames: ["a", "b"], newRow: AB });
  catalog.isLateEnough = false;
  for (let n = 0; n < 3; n++) {
    assertEquals(find(keys, change), "<unknown-table>");
    await catalog.refresh();
  }
  catalog.isLateEnough = true;
  catalog.set("public.t", { keys: [["b", "a"]] });
  await catalog.refresh();
  assertEquals(find(keys, change), '["2","1"]');
});

Deno.test("RowKeys.find takes the key order that a refresh brings", async () => {
  const catalog = new MadeUpCatalog();
  const keys = new RowKeys(PLUGINS.wal2json, catalog);
  const change = row("insert", { keyNames: ["a", "b"], newRow: AB });
  assertEquals(find(keys, change), "<unknown-table>");
  catalog.set("public.t", { keys: [["b", "a"]] });
  await catalog.refresh();
  assertEquals(find(keys, change), '["2","1"]');
});

Deno.test("RowKeys.find with test_decoding: the present key, else the first earlier one the change has", async () => {
  const catalog = new MadeUpCatalog({ "public.t": { keys: [["x"], ["y", "a"], ["b"], ["a"]] } });
  const keys = new RowKeys(PLUGINS.test_decoding, catalog);
  const change = row("insert", { newRow: AB });
  assertEquals(find(keys, change), "2");
  const present = row("insert", { newRow: [...AB, ["x", "integer", "9"]] });
  assertEquals(find(keys, present), "9");
  catalog.set("public.t", { keys: [["a"]] });
  assertEquals(find(keys, change), "2", "what was derived stands until the catalog is read again");
  await catalog.refresh();
  assertEquals(find(keys, change), "1");
});

Deno.test("RowKeys.find with test_decoding: a table, or a key, that the catalog does not know", async () => {
  const catalog = new MadeUpCatalog();
  const keys = new RowKeys(PLUGINS.test_decoding, catalog);
  const change = row("insert", { newRow: AB });
  assertEquals(find(keys, change), "<unknown-table>");
  catalog.set("public.t", { keys: [["renamed"]] });
  await catalog.refresh();
  assertEquals(find(keys, change), "<unknown-table>");
  catalog.set("public.t", { keys: [["renamed"], ["a"]] });
  await catalog.refresh();
  assertEquals(find(keys, change), "1");
});

Deno.test("RowKeys.find asks the catalog where wal2json says that there is no key: it may be deferrable", async () => {
  const catalog = new MadeUpCatalog({ "public.t": { keys: [["a"]] }, "public.u": { keys: [[]] } });
  const keys = new RowKeys(PLUGINS.wal2json, catalog);
  const change = (table: string) => row("insert", { table, keyNames: [], newRow: AB });
  assertEquals(find(keys, change("public.t")), "1");
  assertEquals(find(keys, change("public.u")), "<no-key>");
  assertEquals(find(keys, change("public.new")), "<unknown-table>");
  await catalog.refresh();
  assertEquals(find(keys, change("public.new")), "<no-key>");
});

Deno.test("RowKeys.find: a change from before the table had a primary key has none", () => {
  const catalog = new MadeUpCatalog({ "public.t": { keys: [["id"], []] } });
  const keys = new RowKeys(PLUGINS.test_decoding, catalog);
  assertEquals(find(keys, row("insert", { newRow: AB })), "<no-key>");
});

Deno.test("RowKeys.find: a delete whose replica identity hides the key", () => {
  const plugins: OutputPlugin[] = ["test_decoding", "wal2json", "pgoutput"];
  for (const plugin of plugins) {
    const keyNames = plugin === "wal2json" ? ["a"] : undefined;
    const catalog = new MadeUpCatalog({ "public.t": { keys: [["a"]], replicaIdentity: "i" } });
    const keys = new RowKeys(PLUGINS[plugin], catalog);
    const byIndex = row("delete", { keyNames, oldRow: [["b", "integer", "2"]] });
    assertEquals(find(keys, byIndex), "<key-not-sent>");
    assertEquals(find(keys, row("delete", { keyNames })), "<key-not-sent>");
  }
});

Deno.test("RowKeys.find: a TOASTed key that neither row has", () => {
  const catalog = new MadeUpCatalog({ "public.t": { keys: [["a"]], replicaIdentity: "i" } });
  const change = row("update", { newRow: [["a", "text", UNCHANGED], ["b", "integer", "2"]] });
  assertEquals(find(new RowKeys(PLUGINS.test_decoding, catalog), change), "<key-not-sent>");
});

Deno.test("RowKeys.find prefers the old key only where the old row has all of it", () => {
  const catalog = new MadeUpCatalog({ "public.t": { keys: [["a", "b"]], hadOtherIdentity: true } });
  const keys = new RowKeys(PLUGINS.test_decoding, catalog);
  const whole = row("update", {
    newRow: AB,
    oldRow: [["a", "integer", "7"], ["b", "integer", "8"]],
  });
  assertEquals(find(keys, whole, "old"), '["7","8"]');
  assertEquals(find(keys, whole, "new"), '["1","2"]');
  const part = row("update", { newRow: AB, oldRow: [["a", "integer", "7"]] });
  assertEquals(find(keys, part, "old"), '["1","2"]');
});

Deno.test("RowKeys.find takes null for a value only with wal2json, which prints NaN so", () => {
  const catalog = new MadeUpCatalog({ "public.t": { keys: [["a"]] } });
  const change = row("update", { newRow: AB, oldRow: [["a", "numeric", null]] });
  assertEquals(find(new RowKeys(PLUGINS.pgoutput, catalog), change, "old"), "1");
  assertEquals(find(new RowKeys(PLUGINS.wal2json, catalog), change, "old"), "null");
});

/** What a transaction did that was there before `xid`. */
const before = (xid: number) => (asked: number) => asked < xid;
const inTransaction = (xid: number) => ({
  xid,
  timeline: 1,
  commitLsn: undefined,
  commitTime: undefined,
});

Deno.test("RowKeys.find believes the catalog when it was read behind the last DDL that the plugin shows", () => {
  const catalog = new MadeUpCatalog({ "public.t": { keys: [["a"]] } });
  catalog.shows = before(50);
  const change = (definedBy: number) =>
    row("insert", { newRow: AB, transaction: inTransaction(60), definedBy });
  for (const plugin of ["test_decoding", "pgoutput"] as const) {
    const keys = new RowKeys(PLUGINS[plugin], catalog);
    assertEquals(find(keys, change(0)), "1");
    assertEquals(find(keys, change(49)), "1");
    assertEquals(find(keys, change(55)), "<unread>");
    assertEquals(find(keys, change(49)), "1");
  }
});

Deno.test("RowKeys.find with test_decoding, which does not show all DDL: no key only from a catalog that sees the change", () => {
  const catalog = new MadeUpCatalog({ "public.t": { keys: [[]] } });
  catalog.shows = before(60);
  const change = row("insert", { newRow: AB, transaction: inTransaction(60) });
  assertEquals(find(new RowKeys(PLUGINS.pgoutput, catalog), change), "<no-key>");
  assertEquals(find(new RowKeys(PLUGINS.test_decoding, catalog), change), "<unread>");
  catalog.shows = before(61);
  assertEquals(find(new RowKeys(PLUGINS.test_decoding, catalog), change), "<no-key>");
});

Deno.test("RowKeys.find takes the key that was there when a reading saw the change", () => {
  const catalog = new MadeUpCatalog({
    "public.t": {
      keys: [["b"], ["a"], ["a", "b"]],
      formerKeys: [{ columns: ["a"], seenBy: before(50) }, {
        columns: ["a", "b"],
        seenBy: before(40),
      }],
      keySince: before(60),
    },
  });
  const keys = new RowKeys(PLUGINS.test_decoding, catalog);
  const key = (xid: number, definedBy: number) =>
    find(keys, row("insert", { newRow: AB, transaction: inTransaction(xid), definedBy }));
  assertEquals([key(39, 0), key(49, 0), key(60, 0)], ['["1","2"]', "1", "2"]);
  // Between the readings that showed two keys.
  assertEquals([key(55, 0), key(55, 49), key(55, 54)], ["1", "1", "2"]);
});

Deno.test("RowKeys.find: between two readings a key is not taken for none, and a dropped one counts up to its DDL", () => {
  const find_ = (keys: string[][], former: string[], definedBy: number) => {
    const known = { keys, formerKeys: [{ columns: former, seenBy: before(50) }] };
    const catalog = new MadeUpCatalog({ "public.t": { ...known, keySince: before(60) } });
    const change = row("insert", { newRow: AB, transaction: inTransaction(55), definedBy });
    return find(new RowKeys(PLUGINS.test_decoding, catalog), change);
  };
  assertEquals(find_([["a"], []], [], 49), "1");
  assertEquals(find_([[], ["a"]], ["a"], 49), "1");
  assertEquals(find_([[], ["a"]], ["a"], 54), "<no-key>");
});

Deno.test("RowKeys.find with test_decoding: the old row of the default replica identity is the key", () => {
  const catalog = new MadeUpCatalog({ "public.t": { keys: [["b"], ["b", "a"]] } });
  const keys = new RowKeys(PLUGINS.test_decoding, catalog);
  assertEquals(find(keys, row("delete", { oldRow: AB })), '["2","1"]');
  assertEquals(find(keys, row("delete", { oldRow: [AB[1]] })), "2");
  assertEquals(
    find(keys, row("delete", { oldRow: [...AB, ["c", "integer", "3"]] })),
    "<unknown-table>",
  );
  // pgoutput sends none of this identity, and FULL shows every column.
  assertEquals(find(new RowKeys(PLUGINS.pgoutput, catalog), row("delete", { oldRow: AB })), "2");
  catalog.set("public.u", { keys: [["b"], ["b", "a"]], replicaIdentity: "f" });
  assertEquals(find(keys, row("delete", { table: "public.u", oldRow: AB })), "2");
});
