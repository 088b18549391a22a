import { assertEquals } from "@std/assert";
import type { CommittedChange } from "../../scripts/campaign/committed.ts";
import {
  findUnmerged,
  nameChange,
  type PublishedChange,
} from "../../scripts/campaign/published.ts";
import { type Evidence, type Verdict, verify } from "../../scripts/campaign/verify.ts";

/** Two rows, three transactions. */
const COMMITTED = [
  committed(7, "insert", "t 1", "1", 100n),
  committed(8, "insert", "t 2", "1", 200n),
  committed(9, "update", "t 1", "2", 300n),
];
const [A, B, C] = COMMITTED as [CommittedChange, CommittedChange, CommittedChange];

Deno.test("verify finds nothing where all is well", () => {
  const { findings, duplicates } = look({ published: [A, B, C].map(stored) });
  assertEquals([findings, duplicates], [[], 0]);
});

Deno.test("verify finds a lost change, and one that only a dropped aggregate holds", () => {
  assertEquals(look({ published: [A, C].map(stored) }).findings, ["lost: 8 insert t 2"]);
  const dropped = [stored(A), { ...stored(B), isSeen: false }, stored(C)];
  assertEquals(look({ published: dropped }).findings, ["lost: 8 insert t 2"]);
});

Deno.test("verify finds a row whose change came before an earlier one", () => {
  const { findings, outOfOrder } = look({
    published: [C, B, A].map(stored),
    unmergedShards: new Set(),
  });
  assertEquals(findings, ['out of order: row t 1: "7 insert t 1" after "9 update t 1"']);
  assertEquals(outOfOrder, 1);
});

Deno.test("verify finds rows of one shard out of order, but not after a merge, nor without aggregation", () => {
  const published = [B, A, C].map(stored);
  const found = ['out of order: shard s0: "7 insert t 1" after "8 insert t 2"'];
  assertEquals(look({ published }).findings, found);
  assertEquals(look({ published, unmergedShards: new Set() }).findings, []);
  assertEquals(look({ published, aggregation: "none" }).findings, []);
});

Deno.test("verify takes a duplicate behind later records for no disorder", () => {
  const published = [A, B, C, A].map(stored);
  assertEquals(look({ published }).findings, []);
  assertEquals(look({ published }).duplicates, 1);
});

Deno.test("verify finds duplicates where nothing may come again", () => {
  const { findings } = look({ published: [A, A, B, C].map(stored), mayDuplicate: false });
  assertEquals(findings, ["duplicate: 1 without a fault that explains them"]);
});

Deno.test("verify finds a confirmed LSN ahead of what was stored then", () => {
  const published = [stored(A), stored(B), { ...stored(C), arrivedAtMs: 50 }];
  const at = (lsn: bigint, seenAtMs: number) => look({ published, samples: [{ lsn, seenAtMs }] });
  assertEquals(at(299n, 49).findings, []);
  assertEquals(at(300n, 50).findings, []);
  assertEquals(at(300n, 49).findings, ["confirmed too early: 9 update t 1"]);
});

Deno.test("verify finds what was never committed, and another version of the row", () => {
  const surplus = { ...stored(A), name: "6 insert t 3" };
  const changed = { ...stored(B), version: "5" };
  const { findings } = look({ published: [stored(A), surplus, changed, stored(C)] });
  assertEquals(findings, [
    "never committed: 6 insert t 3",
    "another row: 8 insert t 2: version 5, not 1",
  ]);
});

Deno.test("nameChange reads every format alike", () => {
  const update = { name: "731 update public.t 5", version: "9" };
  const { name } = update;
  assertEquals(nameChange("0,CDC,731,public.t,UPDATE,5").name, name);
  assertEquals(
    nameChange('0,CDC,{"xid":"731","table":"public.t","operation":"UPDATE","pkey":"5"}').name,
    name,
  );
  const names = '"columnnames":["id","version"],"columnvalues":[5,9]';
  assertEquals(
    nameChange(
      `0,CDC,{"xid":731,"change":{"kind":"update","schema":"public","table":"t",${names}}}`,
    ),
    update,
  );
  const head = '"op":"update","xid":731,"schema":"public","table":"t"';
  assertEquals(nameChange(`{"v":1,${head},"key":{"id":5},"after":{"id":5,"version":9}}`), update);
});

Deno.test("findUnmerged follows splits, and stops at a merge", () => {
  const shard = (id: string, ...parents: string[]) => ({ id, parents, start: "0", end: "1" });
  const shards = [
    shard("a"),
    shard("b"),
    shard("c", "a"),
    shard("d", "a"),
    shard("e", "d", "b"),
    shard("f", "e"),
  ];
  assertEquals([...findUnmerged(shards)], ["a", "b", "c", "d"]);
});

function look(evidence: Partial<Evidence>): Verdict {
  return verify({
    committed: COMMITTED,
    published: [],
    samples: [],
    aggregation: "kpl",
    unmergedShards: new Set(["s0"]),
    mayDuplicate: true,
    ...evidence,
  });
}

function committed(
  xid: number,
  operation: string,
  row: string,
  version: string,
  endLsn: bigint,
): CommittedChange {
  return { name: `${xid} ${operation} ${row}`, row, version, endLsn };
}

function stored({ name, version }: CommittedChange): PublishedChange {
  return { name, version, shardId: "s0", arrivedAtMs: 10, isSeen: true };
}
