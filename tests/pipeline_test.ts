import { assertEquals, assertRejects } from "@std/assert";
import { systemClock } from "../src/base/clock.ts";
import { Checkpoint } from "../src/checkpoint.ts";
import { createFormatter } from "../src/format/formats.ts";
import type { RecordTarget, RecordWriter, Ticket } from "../src/base/record_writer.ts";
import type { PolicyOptions } from "../src/options.ts";
import { runPipeline } from "../src/pipeline.ts";
import { Publisher } from "../src/publisher.ts";
import { Progress } from "../src/run_progress.ts";
import { newDecoder } from "./support/decoding.ts";
import * as write from "./support/pgoutput_messages.ts";
import { makeXLogData } from "./fixtures/fixture.ts";
import { MadeUpCatalog, OPTIONS } from "./support/made_up_changes.ts";

const COLUMNS = [{ name: "id", oid: 23, flags: 1 }];

/** The catalog learns types and tables only by being read again, some turns of the event loop later. */
class SlowCatalog extends MadeUpCatalog {
  learn: () => void = () => {};
  learnTypes: () => void = () => {};

  override async refresh(): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve));
    this.learn();
    await super.refresh();
  }

  override async loadTypes(): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve));
    this.learnTypes();
  }
}

/** Runs one batch through all stages but the source and Kinesis; gives what came to the writer. */
async function run(messages: readonly Uint8Array[], catalog: SlowCatalog, oids: Set<number>) {
  const arrived: string[] = [];
  const tickets: Ticket[] = [];
  const writer = {
    add: (key: string, _data: unknown, ticket: Ticket) => {
      ticket.expect(1);
      tickets.push(ticket);
      arrived.push(key);
      return 0;
    },
    flush: () => Promise.resolve(void arrived.push("flush")),
  } as unknown as RecordTarget & RecordWriter;
  const progress = new Progress();
  const checkpoint = new Checkpoint(0n, () => {}, () => {});
  const policy = { onOversize: "stop", onUnknownTable: "stop" } as const;
  const publisher = new Publisher({
    clock: systemClock,
    // A table without a key of its own in the message is looked for in the catalog.
    formatter: await createFormatter(OPTIONS, "pgoutput", catalog),
    ...{ writer, catalog, progress, isWanted: () => true },
    policy: policy as unknown as PolicyOptions & typeof policy,
  });
  const source = (async function* () {
    yield messages.map((data, i) => makeXLogData(BigInt(0x10 + i), data));
  })();
  const decoder = newDecoder("pgoutput", (oid) => oids.has(oid) ? "integer" : undefined);
  const backfill = {
    ...{ restarted: () => {}, begin: () => {}, commit: () => undefined },
    ...{ control: () => false, change: <T>(change: T) => change },
  };
  await runPipeline({
    source,
    decoder,
    catalog,
    backfill,
    publisher,
    writer,
    checkpoint,
    progress,
  });
  const before = checkpoint.flushLsn;
  for (const ticket of tickets) ticket.acknowledge(1);
  return { arrived, confirmed: [before, checkpoint.flushLsn], progress };
}

Deno.test("runPipeline takes nothing further while a type or a table is looked for", async () => {
  const oids = new Set([23]);
  const catalog = new SlowCatalog({ "public.known": {} });
  catalog.learn = () => catalog.set("public.unknown", {});
  catalog.learnTypes = () => void oids.add(99);
  const { arrived, confirmed, progress } = await run(
    [
      write.begin(0x20n, 0n, 7),
      write.relation(1, "public", "known", COLUMNS),
      write.relation(2, "public", "unknown", [{ name: "id", oid: 23 }], "f"),
      write.insert(2, ["1"]),
      write.insert(1, ["2"]),
      write.relation(3, "public", "known", [...COLUMNS, { name: "v", oid: 99, flags: 0 }]),
      write.insert(3, ["3", "x"]),
      write.commit(0x20n, 0x28n),
    ],
    catalog,
    oids,
  );
  assertEquals(arrived, ["public.unknown:1", "public.known:2", "public.known:3", "flush"]);
  // The COMMIT message begins at the transaction's end.
  assertEquals(confirmed, [0n, 0x17n]);
  assertEquals([progress.changes, progress.transactions], [3, 1]);
});

Deno.test("runPipeline ends with the error when the catalog cannot be read again", async () => {
  const first = [write.begin(0x20n, 0n, 7)];
  for (
    const message of [
      write.relation(1, "public", "t", [{ name: "id", oid: 99 }]),
      write.relation(1, "public", "t", [{ name: "id", oid: 23 }], "f"),
    ]
  ) {
    const catalog = new SlowCatalog();
    catalog.learn = catalog.learnTypes = () => {
      throw new Error("no connection");
    };
    const messages = [...first, message, write.insert(1, ["1"])];
    await assertRejects(() => run(messages, catalog, new Set([23])), Error, "no connection");
  }
});
