import { assertEquals } from "@std/assert";
import { ascii, ByteKeyedCache, equals, hasAt } from "../../src/decode/bytes.ts";
import { decodeAscii, decodeUtf8 } from "../../src/decode/utf8.ts";
import { randomFrom, randomSeed } from "../support/random.ts";

Deno.test("hasAt and equals compare bytes up to the end of both", () => {
  const bytes = ascii("abcabc");
  assertEquals([hasAt(bytes, 3, ascii("abc")), hasAt(bytes, 4, ascii("bcd"))], [true, false]);
  assertEquals([equals(bytes, 0, 3, ascii("abc")), equals(bytes, 0, 2, ascii("abc"))], [
    true,
    false,
  ]);
});

Deno.test("ByteKeyedCache tells keys of the same hash apart and forgets when it is full", () => {
  const cache = new ByteKeyedCache<string>();
  const bytes = ascii("one two three");
  cache.set(1, bytes, 0, 3, "first");
  cache.set(1, bytes, 4, 7, "second");
  assertEquals([cache.get(1, bytes, 0, 3), cache.get(1, bytes, 4, 7)], ["first", "second"]);
  assertEquals([cache.get(1, bytes, 8, 13), cache.get(2, bytes, 0, 3)], [undefined, undefined]);
  // The key is a copy: a buffer may be used again.
  bytes.fill(0);
  assertEquals(cache.get(1, ascii("one"), 0, 3), "first");
  for (let hash = 0; hash < 50_000; hash++) cache.set(hash, ascii("x"), 0, 1, "x");
  assertEquals(cache.get(1, ascii("one"), 0, 3), undefined);
  assertEquals(cache.get(49_999, ascii("x"), 0, 1), "x");
});

Deno.test("decodeUtf8 decodes as a fatal TextDecoder does, at every length", () => {
  const random = randomFrom(randomSeed());
  const pieces = ["a", "z", "\x7F", "é", "\u07FF", "€", "\uFEFF", "\uFFFD", "🎉", "\0"];
  const reference = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  let invalid = 0;
  for (let round = 0; round < 20_000; round++) {
    const length = Math.floor(random() * 24);
    const text = Array.from({ length }, () => pieces[Math.floor(random() * pieces.length)]).join(
      "",
    );
    const bytes = new TextEncoder().encode(`<${text}>`);
    if (random() < 0.5) bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
    const [start, end] = [1, bytes.length - 1];
    let expected: string | undefined;
    try {
      expected = reference.decode(bytes.subarray(start, end));
    } catch {
      invalid++;
    }
    assertEquals(decodeUtf8(bytes, start, end), expected);
    const isAscii = bytes.subarray(start, end).every((byte) => byte < 0x80);
    assertEquals(decodeAscii(bytes, start, end), isAscii ? expected : undefined);
  }
  console.log(`${invalid} of 20000 were not UTF-8`);
});
