import { assertEquals, assertThrows } from "@std/assert";
import { systemClock } from "../src/base/clock.ts";
import { RunError } from "../src/base/errors.ts";
import { createFormatter } from "../src/format/formats.ts";
import type { FormatOptions, StreamOptions } from "../src/options.ts";
import { Publisher } from "../src/publisher.ts";
import { Progress } from "../src/run_progress.ts";
import { CountingTicket } from "./support/counting_ticket.ts";
import { MadeUpCatalog, message, OPTIONS, row, textOf } from "./support/made_up_changes.ts";

/** Longer than any record, and as JSON six times that: V8 itself would not get to its end. */
const ENDLESS = "\u0001".repeat(100_000_000);

const HUGE = row("insert", { newRow: [["id", "integer", "1"], ["v", "text", ENDLESS]] });
const MOVED = row("update", {
  oldRow: [["id", "integer", "1"]],
  newRow: [["id", "integer", "2"], ["v", "text", ENDLESS]],
});

/** What a publisher gives the writer of one change. */
async function published(
  change: Parameters<Publisher["publish"]>[0],
  onOversize: StreamOptions["onOversize"],
  options: Partial<FormatOptions>,
) {
  const catalog = new MadeUpCatalog({ "public.t": {} });
  const texts: string[] = [];
  const writer = {
    add: (_key: string, data: string | Uint8Array) => {
      texts.push(textOf(data));
      return 0;
    },
    maxRecordBytes: 1024 * 1024,
    noteShards: () => {},
    notedShards: 0,
  };
  const progress = new Progress();
  const publisher = new Publisher({
    clock: systemClock,
    formatter: await createFormatter({ ...OPTIONS, ...options }, "pgoutput", catalog),
    ...{ writer, catalog, progress, isWanted: () => true },
    policy: { onOversize } as ConstructorParameters<typeof Publisher>[0]["policy"],
  });
  return {
    publish: () => {
      publisher.publish(change, new CountingTicket());
      return { texts, skipped: progress.skipped.oversize - progress.filtered };
    },
  };
}

const FULL = { fullChange: true };
const JSON_FORMAT = { formatter: "JSON" };

Deno.test("Publisher takes a row that no string can hold for one that no stream takes", async () => {
  for (const options of [FULL, JSON_FORMAT]) {
    const stopping = await published(HUGE, "stop", options);
    assertThrows(stopping.publish, RunError, "has 100000000 bytes or more");
    const skipping = await published(HUGE, "skip", options);
    assertEquals(skipping.publish(), { texts: [], skipped: 1 });
  }
  const [full, json] = [
    await published(HUGE, "key-only", FULL),
    await published(HUGE, "key-only", JSON_FORMAT),
  ];
  assertEquals(full.publish().texts.map((text) => JSON.parse(text.slice(6)).change.columnnames), [
    ["id"],
  ]);
  assertEquals(json.publish().texts.map((text) => JSON.parse(text).oversize), [true]);
});

Deno.test("Publisher gives the delete of an old key whose new row is too large", async () => {
  const ops = (texts: string[]) => texts.map((text) => JSON.parse(text).op);
  const skipping = (await published(MOVED, "skip", JSON_FORMAT)).publish();
  assertEquals(ops(skipping.texts), ["delete"]);
  const { texts } = (await published(MOVED, "key-only", JSON_FORMAT)).publish();
  assertEquals(ops(texts), ["delete", "insert"]);
  assertEquals(texts.map((text) => JSON.parse(text).oversize), [undefined, true]);
});

Deno.test("Publisher takes a logical message that no stream takes for what it is", async () => {
  const change = message(new Uint8Array(20_000_000));
  assertEquals((await published(change, "skip", JSON_FORMAT)).publish(), { texts: [], skipped: 1 });
});
