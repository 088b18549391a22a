import { assertEquals } from "@std/assert";
import { ReadPacer } from "../../../src/postgres/session/read_pacer.ts";

/** How often a pacer lets bytes gather, for reads of `bytes` every `everyMs`. */
function gathers(reads: number, bytes: number, everyMs: number): number {
  const pacer = new ReadPacer();
  let count = 0;
  for (let read = 0; read < reads; read++) {
    if (pacer.shouldGather(bytes, 1000 + read * everyMs)) count++;
  }
  return count;
}

Deno.test("ReadPacer holds up a stream of small reads", () => {
  assertEquals(gathers(101, 200, 0.01), 25);
});

Deno.test("ReadPacer never holds up reads that come now and then", () => {
  assertEquals(gathers(1000, 200, 0.6), 0);
  assertEquals(gathers(1000, 60_000, 5), 0);
});

Deno.test("ReadPacer never holds up large reads", () => {
  assertEquals(gathers(1000, 65_536, 0.01), 0);
});

Deno.test("ReadPacer lets a few small reads pass: a transaction of a few rows waits for nothing", () => {
  const pacer = new ReadPacer();
  let gathered = 0;
  for (let transaction = 0; transaction < 200; transaction++) {
    for (let message = 0; message < 3; message++) {
      if (pacer.shouldGather(150, transaction * 5 + message * 0.05)) gathered++;
    }
  }
  assertEquals(gathered, 0);
});

Deno.test("ReadPacer holds up the first small read behind a large one, while the stream goes on", () => {
  const pacer = new ReadPacer();
  assertEquals(pacer.shouldGather(65_536, 0), false);
  assertEquals(pacer.shouldGather(200, 3), true);
  // What gathered was little: the stream is over, and its last messages wait for nothing.
  assertEquals(pacer.shouldGather(200, 4.1), false);
  assertEquals(pacer.shouldGather(200, 5), false);
  // A transaction that comes later than that is another matter.
  assertEquals(pacer.shouldGather(65_536, 100), false);
  assertEquals(pacer.shouldGather(200, 120), false);
});
