import { assertEquals, assertMatch } from "@std/assert";
import {
  compare,
  describeComparison,
  isAllWell,
  parseCommitted,
  parsePublished,
  type RowChange,
} from "../../scripts/demo/comparison.ts";
import type { StoredRecord } from "../support/read_back.ts";

const COMMITTED = [change(1, "insert", 10), change(2, "insert", 11), change(1, "update", 12)];

Deno.test("compare finds nothing wrong where every row is in commit order", () => {
  const [a, b, c] = COMMITTED.map(record);
  assertEquals(verdict([b!, a!, c!], [1, 0, 0]), "all 2 rows in the order of their commits: OK");
});

Deno.test("compare finds a lost change", () => {
  const [a, b] = COMMITTED.map(record);
  assertEquals(verdict([a!, b!]), "1 MISSING: NOT OK");
});

Deno.test("compare finds a change that was published twice, and one that never was committed", () => {
  const [a, b, c] = COMMITTED.map(record);
  assertEquals(verdict([a!, b!, c!, a!, record(change(3, "insert", 13))]), "2 SURPLUS: NOT OK");
});

Deno.test("compare finds a row out of order, and a shard", () => {
  const [a, b, c] = COMMITTED.map(record);
  assertEquals(
    verdict([c!, a!, b!], [0, 0, 1]),
    "1 rows OUT OF ORDER (public.customers:1), 1 shards OUT OF ORDER (0): NOT OK",
  );
  assertEquals(verdict([b!, a!, c!]), "1 shards OUT OF ORDER (0): NOT OK");
});

Deno.test("compare takes an empty workload for a failure", () => {
  const comparison = compare([], { shards: [], records: [], kinesisRecords: 0 });
  assertEquals(isAllWell(comparison), false);
});

Deno.test("parseCommitted and parsePublished read the same change", () => {
  const committed = parseCommitted([
    { xid: "7", data: "BEGIN 7" },
    {
      xid: "7",
      data: "table public.orders: INSERT: customer[integer]:3 number[integer]:1 " +
        "item[text]:'it''s' version[bigint]:57",
    },
    { xid: "7", data: "table public.orders: DELETE: customer[integer]:3 number[integer]:1" },
    { xid: "7", data: "COMMIT 7" },
  ]);
  const published = [
    '{"xid":7,"change":{"kind":"insert","schema":"public","table":"orders","columnnames":' +
    '["customer","number","item","version"],"columnvalues":[3,1,"it\'s",57]}}',
    '{"xid":7,"change":{"kind":"delete","schema":"public","table":"orders",' +
    '"oldkeys":{"keynames":["customer","number"],"keyvalues":[3,1]}}}',
  ].map((json) => parsePublished(`0,CDC,${json}`));
  assertEquals(committed, published);
  assertEquals(committed, [
    { row: "public.orders:3,1", change: "insert 7 57" },
    { row: "public.orders:3,1", change: "delete 7" },
  ]);
});

/** The last line behind the counts, when `texts` are read from the shards named beside them. */
function verdict(texts: readonly string[], shards: readonly number[] = []): string {
  const records = texts.map((text, index) => ({
    text,
    shardId: String(shards[index] ?? 0),
  } as StoredRecord));
  const comparison = compare(COMMITTED, { shards: [], records, kinesisRecords: 0 });
  const line = describeComparison(comparison);
  assertMatch(line, /^committed 3 changes in 3 transactions, published \d: /);
  assertEquals(isAllWell(comparison), line.endsWith(": OK"));
  return line.slice(line.indexOf(": ") + 2);
}

function change(id: number, kind: string, version: number): RowChange {
  return { row: `public.customers:${id}`, change: `${kind} ${version} ${version}` };
}

/** What a change of one of the customers is published as, its version as transaction too. */
function record({ row, change }: RowChange): string {
  const [kind, xid, version] = change.split(" ");
  const [, id] = row.split(":");
  return `0,CDC,{"xid":${xid},"change":{"kind":"${kind}","schema":"public","table":"customers",` +
    `"columnnames":["id","version"],"columnvalues":[${id},${version}]}}`;
}
