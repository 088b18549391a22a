import { assertEquals, assertThrows } from "@std/assert";
import { PLUGINS } from "../../../src/decode/plugins.ts";
import type { OutputPlugin } from "../../../src/options.ts";
import { PostgresError } from "../../../src/postgres/connection/postgres_error.ts";
import { XLogData } from "../../../src/base/replication_message.ts";
import { ResumePoint } from "../../../src/postgres/session/resume_point.ts";

function message(walStart: bigint, text: string): XLogData {
  const data = new TextEncoder().encode(text);
  const payload = new Uint8Array(25 + data.length);
  new DataView(payload.buffer).setBigUint64(1, walStart);
  payload.set(data, 25);
  return new XLogData(payload);
}

/** Messages of one transaction that ends at `end`, in each plugin's words. */
const SPOKEN: Readonly<Record<OutputPlugin, (xid: number, end: bigint) => XLogData[]>> = {
  test_decoding: (xid, end) => [
    message(end - 30n, `BEGIN ${xid}`),
    message(end - 30n, "table public.t: INSERT: id[integer]:1"),
    message(end - 20n, "table public.t: INSERT: id[integer]:2"),
    message(end, `COMMIT ${xid}`),
  ],
  wal2json: (xid, end) => [
    message(end - 30n, `{"action":"B","xid":${xid}}`),
    message(end - 30n, '{"action":"I"}'),
    message(end - 20n, '{"action":"I"}'),
    message(end, `{"action":"C","xid":${xid}}`),
  ],
  pgoutput: (xid, end) => [
    message(end - 30n, `B${xid}`),
    message(end - 30n, "I1"),
    message(end - 20n, "I2"),
    message(end, `C${xid}`),
  ],
};

for (const plugin of Object.keys(SPOKEN) as OutputPlugin[]) {
  Deno.test(`ResumePoint passes every message once, wherever a session ends (${plugin})`, () => {
    const all = [100n, 200n, 300n].flatMap((end, index) => SPOKEN[plugin](700 + index, end));
    for (let first = 0; first <= all.length; first++) {
      for (let second = 0; second <= all.length; second++) {
        const resume = new ResumePoint(50n, PLUGINS[plugin]);
        const passed: XLogData[] = [];
        for (const cut of [first, second, all.length]) {
          // The slot may have confirmed all that was received, some of it, or none.
          const slotLsn = BigInt([0, 50, 100, 200][(first + second + cut) % 4]!);
          const startLsn = resume.restart(slotLsn < resume.lsn ? slotLsn : resume.lsn);
          // What the server sends: every transaction that ends behind the LSN.
          const begin = all.findIndex(({ walStart }, index) =>
            index % 4 === 3 && walStart > startLsn
          );
          const sent = begin === -1 ? [] : all.slice(begin - 3);
          for (const each of sent.slice(0, Math.max(0, cut - (begin - 3)))) {
            if (resume.accept(each)) passed.push(each);
          }
        }
        assertEquals(passed, all, `cut at ${first} and ${second}`);
      }
    }
  });
}

Deno.test("ResumePoint lets pgoutput teach a new session what it taught the old one", () => {
  const resume = new ResumePoint(0n, PLUGINS.pgoutput);
  const [begin, insert, other, commit] = SPOKEN.pgoutput(7, 100n) as [
    XLogData,
    XLogData,
    XLogData,
    XLogData,
  ];
  const relation = message(0n, "R1");
  assertEquals([begin, relation, insert].map((each) => resume.accept(each)), [true, true, true]);
  resume.restart(resume.lsn);
  const again = [begin, relation, insert, other, commit].map((each) => resume.accept(each));
  assertEquals(again, [false, true, false, true, true]);
  assertEquals(resume.lsn, 100n);
});

Deno.test("ResumePoint goes on behind a message outside any transaction", () => {
  const resume = new ResumePoint(0n, PLUGINS.test_decoding);
  assertEquals(
    resume.accept(message(0x80n, "message: transactional: 0 prefix: p, sz: 1 content:x")),
    true,
  );
  assertEquals(resume.lsn, 0x80n);
  assertEquals(resume.isInTransaction, false);
});

Deno.test("ResumePoint stops when another transaction comes, or the same one differently", () => {
  const sent = SPOKEN.test_decoding(7, 100n);
  const others: XLogData[][] = [
    SPOKEN.test_decoding(8, 100n),
    [sent[0]!, message(75n, "table public.t: INSERT: id[integer]:1"), sent[2]!].slice(0, 2),
    [sent[0]!, sent[3]!],
  ];
  for (const other of others) {
    const resume = new ResumePoint(0n, PLUGINS.test_decoding);
    for (const each of sent.slice(0, 2)) resume.accept(each);
    resume.restart(resume.lsn);
    assertThrows(() => other.forEach((each) => resume.accept(each)), PostgresError, "start again");
  }
});

/** Feeds a session's messages to a source's point, as far as it takes them. */
function receive(resume: ResumePoint, messages: readonly XLogData[]): boolean[] {
  return messages.map((each) => resume.accept(each));
}

for (const plugin of Object.keys(SPOKEN) as OutputPlugin[]) {
  Deno.test(`ResumePoint stops at a server that has other WAL than what was received (${plugin})`, () => {
    const speak = SPOKEN[plugin];
    const last = speak(702, 300n);
    const others: Record<string, () => void> = {
      "another transaction that ends at the same LSN": () =>
        receive(resume, [...speak(701, 200n), ...speak(799, 300n)]),
      "one that ends behind it": () => receive(resume, [...speak(701, 200n), ...speak(703, 310n)]),
      "none": () => {
        receive(resume, speak(701, 200n));
        resume.reached(299n);
        resume.reached(300n);
        resume.reached(301n);
      },
    };
    let resume: ResumePoint;
    for (const [what, other] of Object.entries(others)) {
      resume = new ResumePoint(50n, PLUGINS[plugin]);
      receive(resume, [...speak(700, 100n), ...speak(701, 200n), ...last]);
      assertEquals(resume.restart(100n), 100n);
      assertEquals(resume.isComparing, true);
      const error = assertThrows(other, PostgresError, "ended at 0/12C any more", what);
      assertEquals(error.transient, false);
    }
    resume = new ResumePoint(50n, PLUGINS[plugin]);
    receive(resume, last);
    resume.restart(300n);
    assertEquals(resume.isComparing, false, "a slot that has confirmed all has nothing to compare");
  });
}

Deno.test("ResumePoint passes messages outside transactions once, and what is new behind them", () => {
  const outside = (end: bigint) =>
    message(end, "message: transactional: 0 prefix: p, sz: 1 content:x");
  const first = SPOKEN.test_decoding(7, 100n);
  const second = SPOKEN.test_decoding(8, 300n);
  const resume = new ResumePoint(0n, PLUGINS.test_decoding);
  receive(resume, [outside(0x20n), ...first, outside(150n), outside(200n), ...second.slice(0, 2)]);
  assertEquals(resume.restart(0n), 0n);
  const again = [outside(0x20n), ...first, outside(150n), outside(200n), ...second, outside(400n)];
  const isNew = [...Array(9).fill(false), true, true, true];
  assertEquals(receive(resume, again), isNew);
});

Deno.test("ResumePoint leaves a message that it does not know to the decoder, and goes no further by it", () => {
  const resume = new ResumePoint(50n, PLUGINS.pgoutput);
  const [begin, , , commit] = SPOKEN.pgoutput(700, 100n);
  resume.accept(begin!);
  assertEquals(resume.accept(message(90n, "S1")), true);
  resume.restart(50n);
  assertEquals(resume.accept(begin!), false);
  // It was not counted among the transaction's messages.
  assertEquals(resume.isReplaying, false);
  assertEquals(resume.accept(commit!), true);
  assertEquals(resume.accept(message(200n, "S1")), true);
  assertEquals(resume.lsn, 100n);
});
