import { assertEquals, assertThrows } from "@std/assert";
import type { OutputPlugin } from "../../src/options.ts";
import { PostgresError } from "../../src/postgres/postgres_error.ts";
import { XLogData } from "../../src/postgres/replication_message.ts";
import { ResumePoint } from "../../src/postgres/resume_point.ts";
import { findBranch } from "../../src/postgres/same_server.ts";

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
    message(end, '{"action":"C"}'),
  ],
  pgoutput: (xid, end) => [
    message(end - 30n, `B${xid}`),
    message(end - 30n, "I1"),
    message(end - 20n, "I2"),
    message(end, "C"),
  ],
};

for (const plugin of Object.keys(SPOKEN) as OutputPlugin[]) {
  Deno.test(`ResumePoint passes every message once, wherever a session ends (${plugin})`, () => {
    const all = [100n, 200n, 300n].flatMap((end, index) => SPOKEN[plugin](700 + index, end));
    for (let first = 0; first <= all.length; first++) {
      for (let second = 0; second <= all.length; second++) {
        const resume = new ResumePoint(50n, plugin);
        const passed: XLogData[] = [];
        for (const cut of [first, second, all.length]) {
          resume.restart();
          // What the server sends: every transaction that ends behind the LSN.
          const begin = all.findIndex(({ walStart }, index) =>
            index % 4 === 3 && walStart > resume.lsn
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
  const resume = new ResumePoint(0n, "pgoutput");
  const [begin, insert, other, commit] = SPOKEN.pgoutput(7, 100n) as [
    XLogData,
    XLogData,
    XLogData,
    XLogData,
  ];
  const relation = message(0n, "R1");
  assertEquals([begin, relation, insert].map((each) => resume.accept(each)), [true, true, true]);
  resume.restart();
  const again = [begin, relation, insert, other, commit].map((each) => resume.accept(each));
  assertEquals(again, [false, true, false, true, true]);
  assertEquals(resume.lsn, 100n);
});

Deno.test("ResumePoint goes on behind a message outside any transaction", () => {
  const resume = new ResumePoint(0n, "test_decoding");
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
    const resume = new ResumePoint(0n, "test_decoding");
    for (const each of sent.slice(0, 2)) resume.accept(each);
    resume.restart();
    assertThrows(() => other.forEach((each) => resume.accept(each)), PostgresError, "start again");
  }
});

Deno.test("findBranch reads where a timeline left another", () => {
  const history = "1\t0/3000158\tno recovery target specified\n\n2\t0/5000A0\tbefore\n";
  assertEquals(findBranch(history, 1), 0x3000158n);
  assertEquals(findBranch(history, 2), 0x5000A0n);
  assertEquals(findBranch(history, 3), undefined);
});
