import { assert, assertEquals } from "@std/assert";
import { isPlainWord, printable, printableJson } from "../../src/base/printable.ts";

/** Code points that steer a terminal, end a line, or turn its text round. */
const UNSAFE = [
  ...[0, 1, 7, 8, 9, 10, 13, 27, 31, 127, 0x80, 0x85, 0x9b, 0x9f],
  ...[0x2028, 0x2029, 0x61c, 0x200e, 0x200f, 0x202a, 0x202e, 0x2066, 0x2069],
].map((code) => String.fromCharCode(code));

Deno.test("printable escapes what a terminal or an editor would obey, and nothing else", () => {
  for (const character of UNSAFE) {
    const text = printable(`a${character}b`);
    assert(/^a\\(n|r|t|u[0-9a-f]{4})b$/.test(text), text);
    assert(!isPlainWord(`a${character}b`));
  }
  const fine = 'naïve 日本語 שלום 👩‍👩‍👧 \u00a0\u200d\\ "';
  assertEquals(printable(fine), fine);
  assert(isPlainWord("שלום"));
});

Deno.test("printableJson is the same JSON, with its line feeds, and nothing that a terminal obeys", () => {
  const value = { [`key${UNSAFE.join("")}`]: UNSAFE, fine: "naïve 日本語" };
  for (const indent of [0, 2]) {
    const json = JSON.stringify(value, null, indent);
    const shown = printableJson(json);
    assertEquals(JSON.parse(shown), value);
    for (const character of UNSAFE) assert(character === "\n" || !shown.includes(character));
    assertEquals(shown.split("\n").length, json.split("\n").length);
    assert(shown.includes("naïve 日本語"));
  }
});
