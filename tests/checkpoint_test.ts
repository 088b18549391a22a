import { assert, assertEquals, assertThrows } from "@std/assert";
import { Checkpoint } from "../src/checkpoint.ts";
import type { Ticket } from "../src/base/record_writer.ts";
import { randomFrom, randomSeed } from "./support/random.ts";

Deno.test("Checkpoint confirms a transaction when it was received whole and all of it is stored", () => {
  const checkpoint = new Checkpoint(10n);
  const ticket = checkpoint.begin();
  ticket.expect(2);
  ticket.acknowledge(2);
  assertEquals(checkpoint.flushLsn, 10n, "stored, but its COMMIT has not come");
  checkpoint.commit(20n);
  assertEquals(checkpoint.flushLsn, 20n);
});

Deno.test("Checkpoint never passes an earlier transaction that is not stored", () => {
  const checkpoint = new Checkpoint(0n);
  const first = checkpoint.begin();
  first.expect(1);
  checkpoint.commit(10n);
  const second = checkpoint.begin();
  second.expect(1);
  checkpoint.commit(20n);
  second.acknowledge(1);
  assertEquals(checkpoint.flushLsn, 0n);
  first.acknowledge(1);
  assertEquals(checkpoint.flushLsn, 20n);
});

Deno.test("Checkpoint advances over transactions whose changes were all filtered out", () => {
  const checkpoint = new Checkpoint(0n);
  checkpoint.begin();
  checkpoint.commit(10n);
  assertEquals(checkpoint.flushLsn, 10n);
});

Deno.test("Checkpoint follows a keepalive only when nothing is open or pending", () => {
  const checkpoint = new Checkpoint(0n);
  checkpoint.mark(5n);
  assertEquals(checkpoint.flushLsn, 5n);
  const ticket = checkpoint.begin();
  checkpoint.mark(7n);
  assertEquals(checkpoint.flushLsn, 5n, "inside a transaction");
  ticket.expect(1);
  checkpoint.commit(10n);
  checkpoint.mark(12n);
  assertEquals(checkpoint.flushLsn, 5n, "a record is pending");
  ticket.acknowledge(1);
  assertEquals(checkpoint.flushLsn, 12n, "the keepalive came after all that is stored now");
});

Deno.test("Checkpoint never falls when a keepalive repeats an older position", () => {
  const checkpoint = new Checkpoint(10n);
  checkpoint.mark(5n);
  assertEquals(checkpoint.flushLsn, 10n);
});

Deno.test("Checkpoint holds what follows a record outside any transaction", () => {
  const checkpoint = new Checkpoint(0n);
  const message = checkpoint.standalone();
  message.expect(1);
  checkpoint.begin();
  checkpoint.commit(10n);
  assertEquals(checkpoint.flushLsn, 0n);
  message.acknowledge(1);
  assertEquals(checkpoint.flushLsn, 10n);
});

Deno.test("Checkpoint is not held by a record outside any transaction that was left out", () => {
  const checkpoint = new Checkpoint(0n);
  checkpoint.standalone();
  checkpoint.mark(10n);
  assertEquals(checkpoint.flushLsn, 10n);
});

Deno.test("Checkpoint confirms nothing of a timeline behind its end, however it was stored", () => {
  const checkpoint = new Checkpoint(0n);
  const [kept, lost] = [10n, 30n].map((endLsn) => {
    const ticket = checkpoint.begin();
    ticket.expect(1);
    checkpoint.commit(endLsn);
    return ticket;
  });
  checkpoint.mark(40n);
  checkpoint.leaveAt(20n);
  lost!.acknowledge(1);
  assertEquals(checkpoint.flushLsn, 0n, "what came before is not stored");
  kept!.acknowledge(1);
  assertEquals(checkpoint.flushLsn, 20n);
  const fresh = checkpoint.begin();
  fresh.expect(1);
  checkpoint.commit(25n);
  assertEquals(checkpoint.flushLsn, 20n);
  fresh.acknowledge(1);
  assertEquals(checkpoint.flushLsn, 25n);
});

Deno.test("Checkpoint falls to the end of a timeline that a keepalive had passed", () => {
  const checkpoint = new Checkpoint(0n);
  checkpoint.mark(50n);
  checkpoint.leaveAt(20n);
  assertEquals(checkpoint.flushLsn, 20n);
});

Deno.test("Checkpoint tells of an advance by acknowledgements, not by keepalives", () => {
  let advances = 0;
  const checkpoint = new Checkpoint(0n, () => advances++);
  checkpoint.mark(5n);
  assertEquals(advances, 0);
  const ticket = checkpoint.begin();
  ticket.expect(1);
  checkpoint.commit(10n);
  ticket.acknowledge(1);
  assertEquals(advances, 1);
});

Deno.test("Checkpoint refuses more acknowledgements than records", () => {
  const checkpoint = new Checkpoint(0n);
  const ticket = checkpoint.begin();
  ticket.expect(1);
  assertThrows(() => ticket.acknowledge(2), RangeError);
});

/** The rule of invariant 1 and 2 in the slowest and plainest way: look at everything each time. */
class Model {
  entries: { end: bigint | undefined; pending: number }[] = [];
  start: bigint;
  constructor(start: bigint) {
    this.start = start;
  }
  get flushLsn(): bigint {
    let flush = this.start;
    for (const entry of this.entries) {
      if (entry.end === undefined || entry.pending > 0) break;
      if (entry.end > flush) flush = entry.end;
    }
    return flush;
  }
}

Deno.test("Checkpoint equals a brute-force model under random orders of acknowledgement", () => {
  const seed = randomSeed();
  const random = randomFrom(seed);
  const below = (n: number) => Math.floor(random() * n);
  for (let round = 0; round < 300; round++) {
    const start = BigInt(below(100));
    const checkpoint = new Checkpoint(start);
    const model = new Model(start);
    type Held = { ticket: Ticket; entry: Model["entries"][number] };
    const held: Held[] = [];
    let open: Held | undefined;
    let lsn = start;
    let previous = start;
    for (let step = 0; step < 200; step++) {
      lsn += BigInt(below(3));
      const choice = below(10);
      if (choice < 3) {
        if (open === undefined) {
          open = { ticket: checkpoint.begin(), entry: { end: undefined, pending: 0 } };
          model.entries.push(open.entry);
        } else {
          checkpoint.commit(lsn);
          open.entry.end = lsn;
          open = undefined;
        }
      } else if (choice < 6 && open !== undefined) {
        const records = 1 + below(4);
        open.ticket.expect(records);
        open.entry.pending += records;
        held.push(open);
      } else if (choice === 6) {
        checkpoint.mark(lsn);
        if (open === undefined) model.entries.push({ end: lsn, pending: 0 });
      } else if (held.length > 0) {
        const index = below(held.length);
        const { ticket, entry } = held[index]!;
        const records = 1 + below(entry.pending);
        if (entry.pending > 0) {
          ticket.acknowledge(records);
          entry.pending -= records;
        }
        if (entry.pending === 0) held.splice(index, 1);
      }
      const where = `seed ${seed}, round ${round}, step ${step}`;
      assertEquals(checkpoint.flushLsn, model.flushLsn, where);
      const waiting = new Set([...held, ...open === undefined ? [] : [open]]).size;
      // One entry for each that is not whole, and one between two of them.
      assert(
        checkpoint.size <= 2 * waiting + 1,
        `${checkpoint.size} entries, ${waiting} wait: ${where}`,
      );
      assert(checkpoint.flushLsn >= previous, `the watermark fell: ${where}`);
      previous = checkpoint.flushLsn;
    }
  }
});

Deno.test("Checkpoint tells when what is not stored was committed, and what is", () => {
  const stored: number[] = [];
  const checkpoint = new Checkpoint(0n, () => {}, (commitMs) => stored.push(commitMs));
  assertEquals(checkpoint.oldestPendingCommitMs, undefined);
  assertEquals(checkpoint.storedCommitMs, NaN);
  const first = checkpoint.begin(1_000);
  first.expect(1);
  checkpoint.commit(10n);
  // Its time is told at its end, as test_decoding does.
  const second = checkpoint.begin();
  second.expect(1);
  assertEquals(checkpoint.oldestPendingCommitMs, 1_000);
  first.acknowledge(1);
  assertEquals([checkpoint.oldestPendingCommitMs, checkpoint.storedCommitMs], [NaN, 1_000]);
  checkpoint.commit(20n, 2_000);
  assertEquals(checkpoint.oldestPendingCommitMs, 2_000);
  second.acknowledge(1);
  assertEquals([checkpoint.oldestPendingCommitMs, checkpoint.storedCommitMs], [undefined, 2_000]);
  // Of a transaction without records there is nothing to wait for.
  checkpoint.begin(3_000);
  checkpoint.commit(30n);
  assertEquals([checkpoint.storedCommitMs, stored], [3_000, [1_000, 2_000]]);
  // A keepalive has no time, and takes none away.
  checkpoint.mark(40n);
  assertEquals(checkpoint.storedCommitMs, 3_000);
});

Deno.test("Checkpoint remembers little of what is stored behind a record that is not", () => {
  const stored: number[] = [];
  const checkpoint = new Checkpoint(0n, () => {}, (commitMs) => stored.push(commitMs));
  const transaction = (n: number) => {
    const ticket = checkpoint.begin(n);
    ticket.expect(1);
    checkpoint.commit(BigInt(n));
    return ticket;
  };
  const stuck = transaction(1);
  const others = Array.from({ length: 999 }, (_, n) => transaction(n + 2));
  // Every second one first, so that none has a neighbour that is stored.
  for (let n = 0; n < others.length; n += 2) others[n]!.acknowledge(1);
  assertEquals(checkpoint.size, 1_000);
  for (let n = 1; n < others.length; n += 2) others[n]!.acknowledge(1);
  assertEquals(checkpoint.size, 2);
  for (let n = 0; n < 100; n++) {
    checkpoint.standalone();
    checkpoint.mark(BigInt(2_000 + n));
    checkpoint.begin();
    checkpoint.commit(BigInt(2_000 + n));
  }
  assertEquals([checkpoint.size, stored.length], [2, 999]);
  assertEquals([checkpoint.flushLsn, checkpoint.oldestPendingCommitMs], [0n, 1]);
  checkpoint.leaveAt(1_500n);
  stuck.acknowledge(1);
  assertEquals([checkpoint.flushLsn, checkpoint.storedCommitMs], [1_500n, 1_000]);
  assertEquals(checkpoint.size, 0);
});
