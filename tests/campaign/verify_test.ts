import { assertEquals } from "@std/assert";
import type { CommittedChange } from "./committed.ts";
import { parentsFirst } from "./parents_first.ts";
import { nameChange, type PublishedChange } from "./published.ts";
import { type Evidence, type Verdict, verify } from "./verify.ts";

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
    aggregation: "none",
  });
  assertEquals(findings, ['out of order: row t 1: "7 insert t 1" after "9 update t 1"']);
  assertEquals(outOfOrder, 1);
});

Deno.test("verify finds rows of one shard out of order, but not without aggregation", () => {
  const published = [B, A, C].map(stored);
  const found = ['out of order: shard s0: "7 insert t 1" after a later one'];
  assertEquals(look({ published }).findings, found);
  assertEquals(look({ published, aggregation: "none" }).findings, []);
});

Deno.test("verify lets one put of each lane be ahead in a merged shard, and no second", () => {
  const shard = (id: string, start: string, end: string, ...parents: string[]) => ({
    ...{ id, start, end, parents },
  });
  const shards = [
    shard("low", "0", "4"),
    shard("high", "5", "9"),
    shard("merged", "0", "9", "low", "high"),
  ];
  const changes = [1, 2, 3, 4].map((n) => committed(n, "insert", `t ${n}`, "1", BigInt(n))) as [
    CommittedChange,
    CommittedChange,
    CommittedChange,
    CommittedChange,
  ];
  const [one, two, three, four] = changes;
  const put = (change: CommittedChange, hashKey: bigint) => ({
    ...{ ...stored(change), shardId: "merged", hashKey },
  });
  const of = (...published: PublishedChange[]) =>
    look({ committed: changes, shards, published }).findings;
  assertEquals(of(put(four, 7n), put(one, 2n), put(two, 2n), put(three, 2n)), []);
  assertEquals(of(put(three, 7n), put(four, 7n), put(one, 2n), put(two, 2n)), [
    'out of order: shard merged: "2 insert t 2" after a later one',
  ]);
});

Deno.test("verify calls nothing lost that was not confirmed when time was up", () => {
  const unfinished = { published: [A].map(stored), isFinished: false };
  assertEquals(look(unfinished).findings, []);
  const { findings } = look({ ...unfinished, samples: [{ timeline: 1, lsn: 250n, seenAtMs: 99 }] });
  assertEquals(findings, ["lost: 8 insert t 2", "confirmed too early: 8 insert t 2"]);
});

Deno.test("verify finds what consumers end with that apply a TRUNCATE, or a copy across a split, by position", () => {
  const changes = [
    committed(1, "insert", "t 1", "1", 10n),
    committed(2, "truncate", "t *", "", 20n),
    committed(3, "insert", "t 2", "1", 30n),
  ] as const;
  const [row, truncate, later] = changes.map(stored) as [
    PublishedChange,
    PublishedChange,
    PublishedChange,
  ];
  const of = (...published: PublishedChange[]) =>
    look({ committed: changes, published, aggregation: "none" }).findings;
  assertEquals(of(row, truncate, later), []);
  // Behind a newer row, as a merge may bring it, and again.
  assertEquals(of(truncate, row, later, truncate), []);
  const stays = 'public copy: t 1 is of "1 insert t 1", not nothing';
  assertEquals(of(truncate, row, later), [
    `a consumer's copy: ${stays.replace("public copy", "KCL")}`,
    `a consumer's copy: ${stays.replace("public copy", "every record")}`,
    `a consumer's copy: ${stays.replace("public copy", "KCL")}`,
    "a consumer's copy: 4 in all",
  ]);
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
  const at = (lsn: bigint, seenAtMs: number) =>
    look({ published, samples: [{ timeline: 1, lsn, seenAtMs }] });
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

Deno.test("verify finds a change of another seq than its own", () => {
  const sequenced = [A, B, C].map((change, seq) => ({ ...change, seq }));
  const published = sequenced.map((change) => ({ ...stored(change), seq: change.seq }));
  assertEquals(look({ committed: sequenced, published }).findings, []);
  published[2]!.seq = 1;
  assertEquals(look({ committed: sequenced, published }).findings, [
    "another position: 9 update t 1: seq 1, not 2",
  ]);
});

Deno.test("verify finds a change with the commit LSN of another transaction", () => {
  const at = (commitLsn: bigint) =>
    look({ published: [stored(A), { ...stored(B), commitLsn }, stored(C)] }).findings;
  assertEquals([at(100n), at(199n)].flat(), []);
  for (const wrong of [99n, 200n]) {
    assertEquals(at(wrong), [`another position: 8 insert t 2: commit LSN ${wrong}`]);
  }
});

/** One change of both timelines, one that the failover lost, and one of the timeline that it began. */
function failedOver() {
  const shared = committed(7, "insert", "t 1", "1", 100n);
  const lost = { ...committed(8, "update", "t 1", "2", 200n), isLost: true };
  const later = {
    ...committed(8, "insert", "t 2", "1", 150n),
    timeline: 2,
    name: "2:8 insert t 2",
  };
  const changes = [shared, lost, later];
  return {
    shared,
    lost,
    later,
    of: (evidence: Partial<Evidence>) => look({ committed: changes, ...evidence }),
  };
}

Deno.test("verify wants what a failover lost in no stream, but what was promised before", () => {
  const { shared, lost, later, of } = failedOver();
  const without = { published: [shared, later].map(stored) };
  assertEquals(of(without).findings, []);
  assertEquals(of({ published: [shared, lost, later].map(stored) }).findings, []);
  assertEquals(of({ published: [shared, lost].map(stored) }).findings, ["lost: 2:8 insert t 2"]);
  const at = (timeline: number, lsn: bigint) => [{ timeline, lsn, seenAtMs: 99 }];
  // The same LSN says nothing of the change on the other timeline.
  assertEquals(of({ ...without, samples: at(2, 200n) }).findings, []);
  assertEquals(of({ ...without, samples: at(1, 200n) }).findings, [
    "lost: 8 update t 1",
    "confirmed too early: 8 update t 1",
  ]);
});

Deno.test("verify lets a copy keep what a failover lost until the row changes again", () => {
  const { shared, lost, of } = failedOver();
  const again = {
    ...committed(9, "update", "t 1", "3", 250n),
    timeline: 2,
    name: "2:9 update t 1",
  };
  const changes = [shared, lost, again];
  assertEquals(of({ committed: changes, published: changes.map(stored) }).findings, []);
});

Deno.test("nameChange reads every format alike", () => {
  const update = {
    name: "731 update public.t 5",
    version: "9",
    seq: undefined,
    commitLsn: undefined,
  };
  const { name } = update;
  assertEquals(nameChange("0,CDC,731,public.t,UPDATE,5").name, name);
  assertEquals(
    nameChange('0,CDC,{"xid":"731","table":"public.t","operation":"UPDATE","pkey":"5"}').name,
    name,
  );
  assertEquals(
    nameChange('{"v":1,"op":"insert","xid":1,"table":"t","key":{"id":0}}').name.at(-1),
    "0",
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
  assertEquals(
    nameChange(
      `{"v":1,${head},"seq":3,"timeline":2,"commit_lsn":"1/A","key":{"id":5},"after":{"id":5,"version":9}}`,
    ),
    { ...update, name: `2:${name}`, seq: 3, commitLsn: 0x1_0000_000An },
  );
});

Deno.test("nameChange reads logical messages, in and outside of transactions", () => {
  const head = '{"v":1,"op":"message"';
  const tail = '"prefix":"told","content":"1-7"}';
  assertEquals(nameChange(`${head},"xid":731,"seq":2,"timeline":1,${tail}`), {
    ...{ name: "731 message told 1-7", version: undefined, seq: 2, commitLsn: undefined },
  });
  assertEquals(nameChange(`${head},"lsn":"0/1",${tail}`).name, "- message told 1-7");
});

Deno.test("nameChange reads a TRUNCATE of every format alike", () => {
  const name = "731 truncate public.t *";
  assertEquals(nameChange("0,CDC,731,public.t,TRUNCATE,").name, name);
  assertEquals(
    nameChange('0,CDC,{"xid":"731","table":"public.t","operation":"TRUNCATE","pkey":null}').name,
    name,
  );
  const change = '{"kind":"truncate","schema":"public","table":"t"}';
  assertEquals(nameChange(`0,CDC,{"xid":731,"change":${change}}`).name, name);
  assertEquals(
    nameChange('{"v":1,"op":"truncate","xid":731,"schema":"public","table":"t"}').name,
    name,
  );
});

Deno.test("parentsFirst puts every shard behind all of its parents", () => {
  const shard = (id: string, ...parents: string[]) => ({ id, parents, start: "0", end: "1" });
  const shards = [shard("e", "d", "b"), shard("d", "a"), shard("a"), shard("b")];
  assertEquals(parentsFirst(shards).map(({ id }) => id), ["a", "d", "b", "e"]);
});

function look(evidence: Partial<Evidence>): Verdict {
  return verify({
    committed: COMMITTED,
    published: [],
    samples: [],
    aggregation: "kpl",
    shards: [{ id: "s0", start: "0", end: "9", parents: [] }],
    putsPerLane: 1,
    isFinished: true,
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
  const name = `${xid} ${operation} ${row}`;
  return { name, row, version, seq: undefined, endLsn, timeline: 1, isLost: false };
}

function stored({ name, version }: CommittedChange): PublishedChange {
  const place = { shardId: "s0", sequenceNumber: name, hashKey: 1n, arrivedAtMs: 10 };
  return { ...place, name, version, seq: undefined, commitLsn: undefined, isSeen: true };
}
