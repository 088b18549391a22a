import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { RunError } from "../../src/base/errors.ts";
import { type ReadStart, readStream } from "../../src/tail/stream_reader.ts";
import type { TailOptions } from "../../src/tail/tail_options.ts";
import { VirtualClock } from "../support/virtual_clock.ts";
import { serviceError, SimulatedStream } from "./simulated_stream.ts";

const [A, B, C, D, E] = ["shard-a", "shard-b", "shard-c", "shard-d", "shard-e"] as const;
const MINUTE_MS = 60_000;

interface Reading {
  readonly options?: Partial<TailOptions & { readonly from: ReadStart }>;
  /** Called after each record that was taken. */
  readonly onText?: (text: string, texts: readonly string[]) => void | Promise<void>;
  readonly stop?: AbortSignal;
  readonly limitMs?: number;
}

function newStream() {
  const clock = new VirtualClock();
  return { clock, stream: new SimulatedStream(clock) };
}

/** Reads and gives the texts in the order in which they came. */
async function read(
  { clock, stream }: ReturnType<typeof newStream>,
  { options = {}, onText = () => {}, stop, limitMs = 10 * MINUTE_MS }: Reading = {},
): Promise<string[]> {
  const texts: string[] = [];
  const decoder = new TextDecoder();
  const work = readStream(
    { streamName: "s", from: { kind: "oldest" }, shardId: undefined, follow: false, ...options },
    {
      ...{ api: stream, clock, now: stream.now, random: () => 0.5 },
      signal: stop ?? new AbortController().signal,
    },
    async (_, records) => {
      for (const { data } of records) {
        texts.push(decoder.decode(data));
        await onText(texts.at(-1)!, texts);
      }
    },
  );
  await clock.run(work, limitMs);
  return texts;
}

/** A splits into B and C, C and D merge into E. */
function family() {
  const parts = newStream();
  const { stream } = parts;
  stream.addShard(A, "0", "99");
  stream.addShard(D, "100", "199");
  for (const text of ["a1", "a2", "a3"]) stream.put(A, text);
  stream.put(D, "d1");
  stream.addShard(B, "0", "49", A);
  stream.addShard(C, "50", "99", A);
  stream.put(B, "b1");
  stream.put(C, "c1");
  stream.addShard(E, "50", "199", C, D);
  stream.put(E, "e1");
  return parts;
}

Deno.test("readStream reads a shard only when all its parents are read to their end", async () => {
  const parts = family();
  parts.stream.pageRecords = 1;
  const texts = await read(parts);
  const follows = (before: string, after: string) =>
    assert(texts.indexOf(before) < texts.indexOf(after), `${before} before ${after}: ${texts}`);
  assertEquals(texts.length, 7);
  for (const [before, after] of [["a1", "a2"], ["a2", "a3"], ["a3", "b1"], ["a3", "c1"]]) {
    follows(before!, after!);
  }
  follows("c1", "e1");
  follows("d1", "e1");
  assertEquals(parts.stream.throttled, 0);
});

Deno.test("readStream tells what each shard came from, as far as it is listed", async () => {
  const { clock, stream } = family();
  stream.shards.delete(A);
  const parents: Record<string, string[]> = {};
  const work = readStream(
    { streamName: "s", from: { kind: "oldest" }, shardId: undefined, follow: false },
    {
      ...{ api: stream, clock, now: stream.now, random: () => 0.5 },
      signal: new AbortController().signal,
    },
    (shard, _, parentsOf) => {
      parents[shard.id] = parentsOf(shard).map(({ id }) => id);
      return Promise.resolve();
    },
  );
  await clock.run(work, MINUTE_MS);
  assertEquals(parents, { [D]: [], [B]: [], [C]: [], [E]: [C, D] });
});

Deno.test("readStream reads a shard whose parent has expired", async () => {
  const parts = newStream();
  parts.stream.addShard(A, "0", "99");
  parts.stream.addShard(B, "0", "99", A);
  parts.stream.put(B, "b1");
  parts.stream.shards.delete(A);
  assertEquals(await read(parts), ["b1"]);
});

Deno.test("readStream finds children that came into being, and into the listing, while it read", async () => {
  const parts = newStream();
  const { stream, clock } = parts;
  stream.addShard(A, "0", "99");
  stream.put(A, "a1");
  const stop = new AbortController();
  const texts = await read(parts, {
    options: { follow: true },
    stop: stop.signal,
    onText: (text) => {
      if (text === "a1") {
        stream.addShard(B, "0", "99", A);
        stream.put(B, "b1");
        stream.hidden.add(B);
        clock.sleep(3_500).then(() => stream.hidden.delete(B));
      } else stop.abort();
    },
  });
  assertEquals(texts, ["a1", "b1"]);
});

Deno.test("readStream with --shard reads that one only, and ends with it", async () => {
  const parts = family();
  assertEquals(await read(parts, { options: { shardId: C, follow: true } }), ["c1"]);
  await assertRejects(
    () => read(parts, { options: { shardId: "shard-x" } }),
    RunError,
    "stream s has no shard shard-x; --shard takes one of its 5: shard-a",
  );
});

Deno.test("readStream from latest passes over closed shards and what is there", async () => {
  const parts = family();
  const stop = new AbortController();
  parts.clock.sleep(2_000).then(() => {
    parts.stream.put(B, "b2");
    parts.stream.put(E, "e2");
  });
  const texts = await read(parts, {
    options: { from: { kind: "latest" }, follow: true },
    stop: stop.signal,
    onText: (_, texts) => texts.length === 2 ? stop.abort() : undefined,
  });
  assertEquals(texts, ["b2", "e2"]);
  assertEquals(parts.stream.shards.get(A)!.calls, []);
});

Deno.test("readStream gets a new iterator, behind what it has, when a slow reader let it expire", async () => {
  const parts = newStream();
  const { stream, clock } = parts;
  stream.addShard(A, "0", "99");
  for (let i = 1; i <= 5; i++) stream.put(A, `a${i}`);
  stream.pageRecords = 2;
  const onText = async (text: string) => {
    if (text === "a2") await clock.sleep(6 * MINUTE_MS);
  };
  assertEquals(await read(parts, { onText }), ["a1", "a2", "a3", "a4", "a5"]);
});

Deno.test("readStream from latest misses nothing when its first iterator expired before anything came", async () => {
  const parts = newStream();
  const { stream, clock } = parts;
  stream.addShard(A, "0", "99");
  stream.put(A, "old");
  const stop = new AbortController();
  // Between the iterator and the first page the process sleeps, as a laptop does.
  const getRecords = stream.getRecords.bind(stream);
  let isFirst = true;
  stream.getRecords = async (streamName, iterator, limit) => {
    if (isFirst) {
      isFirst = false;
      await clock.sleep(6 * MINUTE_MS);
      stream.put(A, "new");
    }
    return await getRecords(streamName, iterator, limit);
  };
  const texts = await read(parts, {
    options: { from: { kind: "latest" }, follow: true },
    stop: stop.signal,
    onText: () => stop.abort(),
  });
  assertEquals(texts, ["new"]);
});

Deno.test("readStream waits out throttles and errors that pass, and reads nothing twice", async () => {
  const parts = newStream();
  const { stream } = parts;
  stream.addShard(A, "0", "99");
  for (let i = 1; i <= 6; i++) stream.put(A, `a${i}`);
  stream.pageRecords = 1;
  const names = [
    "ProvisionedThroughputExceededException",
    "LimitExceededException",
    "InternalFailure",
    "ServiceUnavailable",
  ];
  const onText = (text: string) => {
    const name = names[Number(text.slice(1)) - 1];
    if (name !== undefined) stream.errors.push(serviceError(name), serviceError(name));
  };
  assertEquals(await read(parts, { onText }), ["a1", "a2", "a3", "a4", "a5", "a6"]);
});

Deno.test("readStream never asks a shard more than five times a second", async () => {
  const parts = family();
  for (let i = 0; i < 40; i++) parts.stream.put(B, `b${i}`);
  parts.stream.pageRecords = 1;
  await read(parts);
  assertEquals(parts.stream.throttled, 0);
  for (const { calls } of parts.stream.shards.values()) {
    for (const [i, at] of calls.entries()) assert(i === 0 || at - calls[i - 1]! >= 200);
  }
});

Deno.test("readStream gives up on what does not pass, with the IAM action in the one line", async () => {
  const parts = newStream();
  parts.stream.addShard(A, "0", "99");
  const denied = (call: number) => {
    const errors = [...Array(call).fill(undefined), serviceError("AccessDeniedException", "no")];
    parts.stream.errors.splice(0, Infinity, ...errors);
    return read(parts).then(() => "", (error) => error.message);
  };
  assertMatch(await denied(0), /cannot list the shards of stream s.*allow kinesis:ListShards on/);
  assertMatch(await denied(1), /shard shard-a of stream s.*allow kinesis:GetShardIterator on/);
  assertMatch(
    await denied(2),
    /cannot read shard shard-a of stream s.*allow kinesis:GetRecords on/,
  );

  parts.stream.errors.splice(0, Infinity, ...Array(2).fill(undefined));
  parts.stream.errors.push(serviceError("KMSAccessDeniedException"));
  await assertRejects(() => read(parts), RunError, "allow kms:Decrypt on the stream's key");

  parts.stream.errors.splice(0, Infinity, ...Array(2).fill(undefined));
  const broken = () => Object.assign(new Error("connection reset"), { code: "ECONNRESET" });
  for (let i = 0; i < 1000; i++) parts.stream.errors.push(broken());
  await assertRejects(
    () => read(parts),
    RunError,
    "cannot read shard shard-a of stream s (us-east-1): ECONNRESET: connection reset; check",
  );
});

Deno.test("readStream ends at a stop, also while a page waits for its taker", async () => {
  const parts = family();
  const stop = new AbortController();
  const texts = await read(parts, {
    options: { follow: true },
    stop: stop.signal,
    onText: (_, { length }) => {
      if (length < 2) return;
      parts.clock.sleep(1_000).then(() => stop.abort());
      return new Promise(() => {});
    },
  });
  assertEquals(texts.length, 2);
});
