import { assertEquals } from "@std/assert";
import { KeyTable } from "../../../src/kinesis/aggregate/key_table.ts";
import { randomFrom, randomSeed } from "../../support/random.ts";

/** Lays keys into one buffer, one after the other, as an aggregate does. */
class Keys {
  readonly bytes = new Uint8Array(1024 * 1024);
  #end = 0;

  write(key: string): { start: number; length: number } {
    const start = this.#end;
    const { written } = new TextEncoder().encodeInto(key, this.bytes.subarray(start));
    this.#end += written;
    return { start, length: written };
  }
}

Deno.test("KeyTable finds the keys it was given by their bytes, and no others", () => {
  const seed = randomSeed();
  const random = randomFrom(seed);
  const keys = new Keys();
  const table = new KeyTable();
  const indexes = new Map<string, number>();
  for (let i = 0; i < 20_000; i++) {
    const key = `t:${Math.floor(random() * 5000).toString(36)}`;
    const { start, length } = keys.write(key);
    // Few hashes, so that many keys have the same.
    const hash = key.charCodeAt(key.length - 1) * 64 + key.length;
    const found = table.find(keys.bytes, start, length, hash);
    // A key behind many others of its hash may be taken for new; never for another.
    if (found === -1) {
      indexes.set(`${key} ${table.count}`, table.count);
      table.add(start, length, hash);
    } else {
      assertEquals(indexes.has(`${key} ${found}`), true, `seed ${seed}`);
    }
  }
  assertEquals(table.count, indexes.size);
});

Deno.test("KeyTable knows every key while hashes differ, however many they are", () => {
  const keys = new Keys();
  const table = new KeyTable();
  const written = Array.from(
    { length: 5000 },
    (_, i) => ({ ...keys.write(`key ${i}`), hash: i * 7 }),
  );
  for (const { start, length, hash } of written) {
    assertEquals(table.find(keys.bytes, start, length, hash), -1);
    table.add(start, length, hash);
  }
  written.forEach(({ length, hash }, index) => {
    const again = keys.write(`key ${index}`);
    assertEquals(table.find(keys.bytes, again.start, length, hash), index);
  });
});

Deno.test("KeyTable forgets its keys when it is cleared, and takes new ones", () => {
  const keys = new Keys();
  const table = new KeyTable();
  const old = Array.from({ length: 100 }, (_, i) => keys.write(`old ${i}`));
  old.forEach(({ start, length }, hash) => table.add(start, length, hash));
  table.clear();
  assertEquals(table.count, 0);
  old.forEach(({ start, length }, hash) => {
    assertEquals(table.find(keys.bytes, start, length, hash), -1);
  });
  const { start, length } = keys.write("old 7");
  table.add(start, length, 7);
  assertEquals(table.find(keys.bytes, old[7]!.start, length, 7), 0);
});
