import { assert, assertEquals } from "@std/assert";
import { BackfillState } from "../../src/backfill/backfill_state.ts";
import { Chooser } from "../../src/backfill/chooser.ts";
import { type Chunk, Part } from "../../src/backfill/chunk.ts";
import { publishChunk } from "../../src/backfill/publish_chunk.ts";
import type { Job, Reader } from "../../src/backfill/reader.ts";
import { TableRead } from "../../src/backfill/table_read.ts";
import type { Ticket } from "../../src/base/record_writer.ts";
import { Checkpoint } from "../../src/checkpoint.ts";
import type { Publisher } from "../../src/publisher.ts";
import type { RecordWriter } from "../../src/base/record_writer.ts";
import { VirtualClock } from "../support/virtual_clock.ts";

/** Tables that a run reads, none of which has a row. */
class Reads {
  readonly state = new BackfillState();
  readonly tables: TableRead[];
  readonly chooser: Chooser;
  #written = 0;

  constructor(tables: number) {
    this.tables = Array.from(
      { length: tables },
      (_, index) => new TableRead(16384 + index, `public.t${index}`, undefined),
    );
    this.state.setTables(this.tables, "r");
    for (const table of this.tables) table.clearedIn = this.state.epoch;
    const { state } = this;
    this.chooser = new Chooser({
      state,
      checkpoint: new Checkpoint(0n),
      clock: new VirtualClock(),
    });
  }

  /** Changes write down so many keys (B7). */
  write(table: TableRead, keys: number): void {
    for (let i = 0; i < keys; i++) {
      const key = String(this.#written++);
      table.again.set(key, { values: [key], xid: 700, bound: undefined, step: undefined });
    }
  }

  choose(now: number): Promise<Job[]> {
    return this.chooser.choose({} as Reader, now);
  }

  /** What was chosen is read, and its mark comes back; `sees`: the snapshot sees all transactions. */
  async comeBack(jobs: readonly Job[], sees = true): Promise<void> {
    const snapshot = () => sees;
    const parts = jobs.map(({ table, again }) =>
      new Part({ table, rows: [], isScanned: false, again, round: table.round }, snapshot, [])
    );
    const chunk: Chunk = { number: 1, request: "r", snapshot, parts };
    await publishChunk(
      {
        plugin: "pgoutput",
        state: this.state,
        publisher: { publishRead: () => undefined } as unknown as Publisher,
        writer: {} as RecordWriter,
      },
      chunk,
      {
        lsn: 1n,
        endLsn: 2n,
        transaction: { xid: 701, timeline: 1, commitLsn: 1n, commitTime: 0n },
      },
      {} as Ticket,
    );
  }
}

Deno.test("keys to be read again are read one batch after the other while that settles them, whatever comes meanwhile", async () => {
  const reads = new Reads(1);
  const [table] = reads.tables as [TableRead];
  table.isScanned = true;
  reads.write(table, 1_000);
  let struckOff = 0;
  // All at one time: no pause is waited for.
  for (let read = 0; read < 20 && table.again.size > 0; read++) {
    const jobs = await reads.choose(0);
    const again = jobs[0]?.again ?? [];
    assert(again.length > 0);
    struckOff += again.length;
    reads.write(table, read < 5 ? 200 : 0);
    await reads.comeBack(jobs);
  }
  assertEquals([struckOff, table.again.size], [2_000, 0]);
});

Deno.test("keys whose transactions no snapshot sees are read once a second", async () => {
  const reads = new Reads(1);
  const [table] = reads.tables as [TableRead];
  table.isScanned = true;
  reads.write(table, 3);
  for (const now of [0, 1_000, 2_000]) {
    await reads.comeBack(await reads.choose(now), false);
    assertEquals(await reads.choose(now + 999), []);
  }
  assertEquals(table.again.size, 3);
});

Deno.test("reading keys again and reading on take turns, among all tables", async () => {
  const reads = new Reads(3);
  const [first, second, third] = reads.tables as [TableRead, TableRead, TableRead];
  first.isScanned = second.isScanned = true;
  const chosen: string[] = [];
  for (let now = 0; now < 6; now++) {
    // Written down faster than they are read.
    reads.write(first, 1_000);
    reads.write(second, 1_000);
    const jobs = await reads.choose(now);
    chosen.push(
      ...jobs.map(({ table, again }) => table.name + (again === undefined ? "" : " again")),
    );
    await reads.comeBack(jobs);
  }
  const turn = [`${first.name} again`, third.name, `${second.name} again`, third.name];
  assertEquals(chosen, [...turn, ...turn.slice(0, 2)]);
});
