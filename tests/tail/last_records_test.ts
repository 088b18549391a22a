import { assert, assertEquals } from "@std/assert";
import { LastRecords } from "../../src/tail/last_records.ts";
import { tail, type TailParts } from "../../src/tail/tail.ts";
import type { TailOptions } from "../../src/tail/tail_options.ts";
import { VirtualClock } from "../support/virtual_clock.ts";
import { SimulatedStream } from "./simulated_stream.ts";

const encode = (text: string) => new TextEncoder().encode(text);
const texts = (lines: readonly Uint8Array[]) => lines.map((line) => new TextDecoder().decode(line));

const OPTIONS: TailOptions = {
  streams: ["s"],
  from: { kind: "oldest" },
  last: undefined,
  follow: false,
  shardId: undefined,
  json: false,
  verify: false,
  expectAll: false,
  log: { format: "text", level: "info" },
};

Deno.test("LastRecords gives the last lines by arrival, those of a shard in their order", () => {
  const last = new LastRecords(4);
  for (
    const [shard, line, at] of [
      ["a", "a1", 10],
      ["a", "a2", 30],
      ["a", "a3", 20],
      ["a", "a4", undefined],
      ["b", "b1", 5],
      ["b", "b2", 25],
      ["b", "b3", 40],
    ] as const
  ) last.add(shard, encode(line), at);
  assertEquals(texts(last.lines()), ["a2", "a3", "a4", "b3"]);
  assertEquals(last.size, 4);
});

Deno.test("LastRecords keeps what it prints, whatever passes by, within its bytes", () => {
  const last = new LastRecords(3, 1000);
  for (let i = 0; i < 10_000; i++) last.add(`shard-${i % 7}`, encode(`line ${i}`), i);
  assertEquals(texts(last.lines()), ["line 9997", "line 9998", "line 9999"]);
  assertEquals(last.letGo, 0);
  for (let i = 0; i < 5; i++) last.add("a", new Uint8Array(400).fill(0x30 + i), 20_000 + i);
  assertEquals(texts(last.lines()).map((line) => line[0]), ["3", "4"]);
  assert(last.letGo > 0);
});

/** What `tail` prints of a simulated stream, until `stop` says that it is enough. */
async function printed(
  options: Partial<TailOptions>,
  fill: (stream: SimulatedStream, clock: VirtualClock) => Promise<void>,
  during: (stream: SimulatedStream, lines: readonly string[], stop: () => void) => void = () => {},
): Promise<{ lines: string[]; calls: number }> {
  const clock = new VirtualClock();
  const stream = new SimulatedStream(clock);
  const stop = new AbortController();
  const lines: string[] = [];
  const sink = {
    write(bytes: Uint8Array) {
      lines.push(...new TextDecoder().decode(bytes).split("\n").slice(0, -1));
      during(stream, lines, () => stop.abort());
      return Promise.resolve(bytes.length);
    },
  };
  await clock.run(fill(stream, clock), 100 * 3_600_000);
  const parts: TailParts = {
    ...{
      apiOf: () => stream,
      sink,
      clock,
      now: stream.now,
      random: () => 0.5,
      signal: stop.signal,
    },
  };
  await clock.run(tail({ ...OPTIONS, ...options }, parts), 3_600_000);
  const calls = [...stream.shards.values()].reduce((sum, { calls }) => sum + calls.length, 0);
  return { lines, calls };
}

async function fillFor(hours: number, stream: SimulatedStream, clock: VirtualClock): Promise<void> {
  stream.pageRecords = 100;
  stream.addShard("a", "0", "99");
  stream.addShard("b", "100", "199");
  for (let minute = 0; minute < hours * 60; minute++) {
    stream.put(minute % 2 === 0 ? "a" : "b", `minute ${minute}`);
    await clock.sleep(60_000);
  }
}

Deno.test("tail -n prints the last records, and reads no more of the stream than it must", async () => {
  const fill = (stream: SimulatedStream, clock: VirtualClock) => fillFor(48, stream, clock);
  const few = await printed({ last: { records: 3, isStartGiven: false } }, fill);
  assertEquals(few.lines, ["minute 2877", "minute 2878", "minute 2879"]);
  const all = await printed({ last: { records: 2000, isStartGiven: false } }, fill);
  assertEquals(all.lines.length, 2000);
  assertEquals(all.lines[0], "minute 880");
  assert(few.calls < all.calls / 3, `${few.calls} and ${all.calls} calls`);
  const since = await printed({
    from: { kind: "ago", ms: 600_000 },
    last: { records: 50, isStartGiven: true },
  }, fill);
  assertEquals(since.lines.length, 10);
});

Deno.test("tail --since prints what arrived since", async () => {
  const { lines } = await printed(
    { from: { kind: "ago", ms: 120_000 } },
    (stream, clock) => fillFor(1, stream, clock),
  );
  assertEquals(lines.toSorted(), ["minute 58", "minute 59"]);
});

Deno.test("tail -n -f goes on behind what it printed, with nothing twice", async () => {
  let wasPut = false;
  const { lines } = await printed(
    { last: { records: 2, isStartGiven: false }, follow: true },
    (stream, clock) => fillFor(1, stream, clock),
    (stream, lines, stop) => {
      if (!wasPut) {
        wasPut = true;
        stream.put("a", "new in a");
        stream.put("b", "new in b");
      }
      if (lines.length >= 4) stop();
    },
  );
  assertEquals(lines.slice(0, 2), ["minute 58", "minute 59"]);
  assertEquals(lines.slice(2).toSorted(), ["new in a", "new in b"]);
});
