import { assertEquals } from "@std/assert";
import { formatLsn } from "../../src/base/lsn.ts";
import type { TransactionInfo } from "../../src/decode/event.ts";
import { type HeadOf, RecordHead } from "../../src/format/record_head.ts";
import { formatMicroseconds } from "../../src/format/time_text.ts";
import { Utf8Writer } from "../../src/format/utf8_writer.ts";
import { randomFrom, randomSeed } from "../support/random.ts";

const out = new Utf8Writer();
const decoder = new TextDecoder();

/** By JSON.stringify, which leaves out what is undefined. */
function expected({ op, transaction, lsn, seq }: HeadOf): string {
  const { commitLsn, commitTime } = transaction ?? {};
  return JSON.stringify({
    v: 1,
    op,
    xid: transaction?.xid,
    lsn: formatLsn(lsn),
    commit_lsn: commitLsn === undefined ? undefined : formatLsn(commitLsn),
    seq: transaction && seq,
    timeline: transaction?.timeline,
    ts: commitTime === undefined ? undefined : formatMicroseconds(commitTime),
  }).slice(0, -1);
}

function assertWrites(head: RecordHead, change: HeadOf): void {
  out.clear();
  head.write(change, out);
  const text = decoder.decode(out.written);
  // Called a hundred thousand times, the assertion is slow.
  if (text !== expected(change)) assertEquals(text, expected(change));
}

Deno.test("RecordHead writes each head whole, whatever it keeps of the one before", () => {
  const random = randomFrom(randomSeed());
  const oneOf = <T>(values: readonly T[]) => values[Math.floor(random() * values.length)]!;
  const ops = ["insert", "update", "delete", "read", "truncate", "message", "commit"] as const;
  const head = new RecordHead();
  const edges = [0n, 0xFFF0n, 0xFFFF_FF00n, (1n << 53n) - 9n, (1n << 64n) - 0xFF_FFFFn];
  const usual = [0x16B_3748n, 0x16_B374_D848n];
  let lsn = 0n, xid = 3, commitTime = 0n;
  for (let n = 0; n < 10_000; n++) {
    xid += oneOf([1, 1, 1, 2, Math.floor(xid / 3)]);
    if (xid >= 2 ** 32) xid = 3;
    commitTime += BigInt(oneOf([0, 1, 90, 900_000, 2_000_000]));
    if (random() < 0.05) commitTime = oneOf([0n, 7n, 1_795_334_462_000_007n, 2n ** 53n - 99n]);
    const transaction: TransactionInfo = {
      xid,
      timeline: oneOf([1, 1, 1, 1, 1, 12]),
      commitLsn: random() < 0.1 ? undefined : BigInt.asUintN(64, lsn + 2_000n),
      commitTime: random() < 0.1 ? undefined : commitTime,
    };
    // Near each other, over the edges of the last four digits, and anywhere at all.
    if (random() < 0.1) lsn = oneOf(random() < 0.2 ? edges : usual);
    let seq = oneOf([0, 0, 0, 0, 8, 95, 9_990, 2 ** 32 - 2]);
    const length = random() ** 3 * 30;
    for (let i = 0; i < length; i++) {
      lsn = BigInt.asUintN(64, lsn + BigInt(Math.floor(random() ** 6 * 0x2_0000)));
      seq += oneOf([1, 1, 1, 0, 3, -1]);
      const isAlone = random() < 0.02;
      const change = { op: oneOf(ops), transaction, lsn, seq: Math.max(seq, 0) };
      assertWrites(head, isAlone ? { ...change, transaction: undefined } : change);
    }
  }
});

Deno.test("RecordHead knows how many digits an LSN and a number have", () => {
  const transaction = { xid: 7, timeline: 1, commitLsn: 0x1_0000n, commitTime: 1n };
  const head = new RecordHead();
  const at = (lsn: bigint, seq: number) =>
    assertWrites(head, { op: "insert", transaction, lsn, seq });
  // Without leading zeros the low half of an LSN has fewer digits at first.
  for (const lsn of [0n, 0xFn, 0x10n, 0xFFFFn, 0x1_0000n, 0x1_0001n, 0x1_FFFFn, 0x2_0000n]) {
    for (const seq of [0, 9, 10, 99, 100, 5]) at(lsn, seq);
  }
  for (const lsn of [0x1_0000_0000n, 0x1_0000_FFFFn, 0x1_0001_0000n, 0x1_0001_0001n]) at(lsn, 1);
  for (const lsn of [(1n << 53n) - 1n, 1n << 53n, (1n << 53n) + 1n, (1n << 64n) - 1n]) at(lsn, 1);
});
