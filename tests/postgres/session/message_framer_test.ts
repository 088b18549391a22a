import { assertEquals, assertThrows } from "@std/assert";
import { HEAD_BYTES, MessageFramer } from "../../../src/postgres/session/message_framer.ts";
import { randomFrom, randomSeed } from "../../support/random.ts";

/** One backend message: type, length, body. */
function message(type: string, body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(5 + body.length);
  bytes[0] = type.charCodeAt(0);
  new DataView(bytes.buffer).setUint32(1, 4 + body.length);
  bytes.set(body, 5);
  return bytes;
}

function collect(): { framer: MessageFramer; messages: Uint8Array[] } {
  const messages: Uint8Array[] = [];
  const framer = new MessageFramer((bytes, start, end) =>
    messages.push(bytes.subarray(start, end))
  );
  return { framer, messages };
}

Deno.test("MessageFramer gives the same messages however the stream is cut", () => {
  const random = randomFrom(randomSeed());
  const sent = Array.from({ length: 300 }, (_, index) => {
    const size = [0, 1, 3, 40, 3000][Math.floor(random() * 5)]!;
    return message("dNEk"[index % 4]!, new Uint8Array(size).map(() => random() * 256));
  });
  const stream = new Uint8Array(sent.flatMap((bytes) => [...bytes]));
  for (const maxChunk of [1, 2, 4, 5, 6, 7, 100, 2000, stream.length]) {
    const { framer, messages } = collect();
    for (let offset = 0; offset < stream.length;) {
      const end = offset + 1 + Math.floor(random() * maxChunk);
      // As from a socket: a chunk of its own.
      framer.push(stream.slice(offset, end));
      offset = end;
    }
    assertEquals(messages, sent, `chunks of up to ${maxChunk} bytes`);
    assertEquals(framer.heldBytes, 0);
  }
});

Deno.test("MessageFramer never changes the bytes of a message it gave", () => {
  const { framer, messages } = collect();
  const first = message("d", new Uint8Array(100).fill(1));
  framer.push(new Uint8Array([...first, ...first.subarray(0, 50)]));
  const [kept] = messages;
  for (let count = 0; count < 20; count++) {
    framer.push(new Uint8Array([...first.subarray(50), ...first.subarray(0, 50)]).fill(7, 5, 40));
  }
  assertEquals(kept, first);
});

Deno.test("MessageFramer copies a long message once, not at every chunk", () => {
  const { framer, messages } = collect();
  const long = message("d", new Uint8Array(64 * 1024 * 1024));
  const start = performance.now();
  for (let offset = 0; offset < long.length; offset += 4096) {
    framer.push(long.subarray(offset, offset + 4096));
  }
  assertEquals(messages.map(({ length }) => length), [long.length]);
  // 16,384 chunks: copying all of it at each would move half a terabyte.
  console.log(`64 MB in 4 kB chunks: ${Math.round(performance.now() - start)} ms`);
});

Deno.test("MessageFramer keeps the head alone of a long message that nobody needs", () => {
  const random = randomFrom(randomSeed());
  const isUnwanted = (body: Uint8Array) => body[0] === 1;
  const sent = Array.from({ length: 60 }, (_, index) => {
    const size = [10, HEAD_BYTES - 5, HEAD_BYTES - 4, 3 * HEAD_BYTES][Math.floor(random() * 4)]!;
    return message("dN"[index % 2]!, new Uint8Array(size).fill(Math.floor(random() * 2)));
  });
  const stream = new Uint8Array(sent.reduce((sum, { length }) => sum + length, 0));
  let end = 0;
  for (const bytes of sent) stream.set(bytes, (end += bytes.length) - bytes.length);
  for (const maxChunk of [700, HEAD_BYTES, HEAD_BYTES + 1, 10 * HEAD_BYTES]) {
    const given: { kept: Uint8Array; missing: number }[] = [];
    const framer = new MessageFramer(
      (bytes, start, end, missing) => given.push({ kept: bytes.slice(start, end), missing }),
      (head, missing) => {
        assertEquals(head.length, HEAD_BYTES);
        assertEquals(missing > 0, true);
        return isUnwanted(head.subarray(5));
      },
    );
    let mostHeld = 0;
    for (let offset = 0; offset < stream.length;) {
      const end = offset + 1 + Math.floor(random() * maxChunk);
      framer.push(stream.slice(offset, end));
      if (framer.heldBytes > mostHeld) mostHeld = framer.heldBytes;
      offset = end;
    }
    assertEquals(framer.heldBytes, 0);
    assertEquals(given.length, sent.length);
    for (const [index, { kept, missing }] of given.entries()) {
      const whole = sent[index]!;
      assertEquals(kept.length + missing, whole.length);
      assertEquals(kept, whole.subarray(0, kept.length));
      if (missing > 0) assertEquals([kept.length, whole[5]], [HEAD_BYTES, 1]);
      // One that came in one piece takes nothing more.
      if (whole[5] === 1 && whole.length > maxChunk + HEAD_BYTES) assertEquals(missing > 0, true);
    }
  }
});

Deno.test("MessageFramer holds no more of a dropped message of 400 MB than its head", () => {
  let given = 0;
  const framer = new MessageFramer(
    (_, start, end, missing) => given = end - start + missing,
    () => true,
  );
  const [bytes, chunk] = [message("d", new Uint8Array(0)), new Uint8Array(64 * 1024)];
  const body = 6400 * chunk.length;
  new DataView(bytes.buffer).setUint32(1, 4 + body);
  framer.push(bytes);
  for (let count = 0; count < 6400; count++) {
    framer.push(chunk);
    if (framer.heldBytes > HEAD_BYTES) throw new Error(`${framer.heldBytes} bytes are held`);
  }
  assertEquals(given, 5 + body);
});

Deno.test("MessageFramer refuses a length that no message has", () => {
  for (const length of [0, 3, 0x7fffffff, 0xffffffff]) {
    const { framer } = collect();
    const bytes = message("d", new Uint8Array(10));
    new DataView(bytes.buffer).setUint32(1, length);
    assertThrows(() => framer.push(bytes), SyntaxError, "length");
  }
});
