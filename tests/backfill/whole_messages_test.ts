import { assertEquals, assertMatch, fail } from "@std/assert";
import { Buffer } from "node:buffer";
import { PassThrough } from "node:stream";
import { gatherWholeMessages, MAX_ROW_BYTES } from "../../src/backfill/whole_messages.ts";
import { randomFrom, randomSeed } from "../support/random.ts";

/** A backend message: its type, and a length that counts itself. */
function message(type: string, bytes: number): Buffer {
  const made = Buffer.alloc(5 + bytes, bytes % 251);
  made.write(type);
  made.writeUInt32BE(4 + bytes, 1);
  return made;
}

/** What a parser behind the gatherer gets of chunks, copied as it comes. */
async function gather(
  chunks: readonly Uint8Array[],
  onLargeRow: () => void = () => fail("a large row"),
): Promise<{ got: Buffer[]; failure?: Error }> {
  const stream = new PassThrough();
  const got: Buffer[] = [];
  let failure: Error | undefined;
  stream.on("data", (chunk: Buffer) => got.push(Buffer.from(chunk)));
  stream.on("error", (error) => failure = error);
  gatherWholeMessages(stream, onLargeRow);
  for (const chunk of chunks) stream.emit("data", Buffer.from(chunk));
  await new Promise((resolve) => setTimeout(resolve));
  stream.destroy();
  return failure === undefined ? { got } : { got, failure };
}

Deno.test("the parser gets every message whole and in order, however the socket cuts them", async () => {
  const random = randomFrom(randomSeed());
  const sizes = [0, 1, 70_000, 3, 2_500_000, 40, 40, 2_000_000, 100_000, 2];
  const all = Buffer.concat(sizes.map((size) => message("D", size)));
  for (let round = 0; round < 20; round++) {
    const chunks: Buffer[] = [];
    for (let at = 0; at < all.length;) {
      const length = 1 + Math.floor(random() * (random() < 0.3 ? 12 : 300_000));
      chunks.push(all.subarray(at, at + length));
      at += length;
    }
    const { got } = await gather(chunks);
    assertEquals(Buffer.compare(Buffer.concat(got), all), 0);
    for (const part of got) assertEquals(endsOfMessages(part).at(-1), part.length);
  }
});

function endsOfMessages(bytes: Buffer): number[] {
  const ends: number[] = [];
  for (let at = 0; at < bytes.length;) ends.push(at += 1 + bytes.readUInt32BE(at + 1));
  return ends;
}

Deno.test("what can be no message of PostgreSQL ends the connection", async () => {
  const { failure } = await gather([Buffer.from("D\xff\xff\xff\xff", "latin1")]);
  assertMatch(failure?.message ?? "", /a message of PostgreSQL cannot have type 68/);
});

Deno.test("of a row that is too large nothing is kept, and whoever reads is told behind the rows before it", async () => {
  const before = [message("D", 3), message("T", 30)];
  const head = message("D", MAX_ROW_BYTES);
  let told = 0;
  const { got } = await gather(
    [Buffer.concat([...before, head.subarray(0, 10_000)]), head.subarray(10_000, 200_000)],
    () => told++,
  );
  assertEquals(Buffer.compare(Buffer.concat(got), Buffer.concat(before)), 0);
  assertEquals(told, 1);
  const notLarger = message("D", MAX_ROW_BYTES - 5);
  assertEquals((await gather([notLarger])).got.map(({ length }) => length), [notLarger.length]);
});
