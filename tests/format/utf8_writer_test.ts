import { assert, assertEquals } from "@std/assert";
import { Utf8Writer } from "../../src/format/utf8_writer.ts";
import { randomFrom, randomSeed } from "../support/random.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

Deno.test("Utf8Writer.jsonString is JSON.stringify of any ASCII, and refuses all else", () => {
  const random = randomFrom(randomSeed());
  const out = new Utf8Writer();
  const every = Uint8Array.from({ length: 128 }, (_, byte) => byte);
  const texts = [every, new Uint8Array(0), encoder.encode(`"\\\n\u0000\u007F`)];
  for (let i = 0; i < 2000; i++) {
    // Long runs of what needs six bytes must fit too.
    const range = i % 3 === 0 ? 32 : 128;
    texts.push(Uint8Array.from({ length: random() * 300 }, () => Math.floor(random() * range)));
  }
  texts.push(new Uint8Array(100_000).fill(1));
  for (const text of texts) {
    out.clear();
    out.text("é:");
    const padded = Uint8Array.of(0x80, ...text, 0x80);
    assertEquals(out.jsonString(padded, 1, text.length + 1), true);
    out.text("|");
    assertEquals(decoder.decode(out.written), `é:${JSON.stringify(decoder.decode(text))}|`);
  }
  for (const text of ["é", 'ab"c🎉', "\u0080"]) {
    const bytes = encoder.encode(text);
    out.clear();
    out.text("before");
    assertEquals(out.jsonString(bytes, 0, bytes.length), false);
    assertEquals(out.onOneLine(bytes, 0, bytes.length), false);
    assertEquals(decoder.decode(out.written), "before");
  }
});

Deno.test("Utf8Writer.escapedJsonString gives what JSON.stringify makes of the text, or nothing", () => {
  const out = new Utf8Writer();
  const pieces = [
    "a",
    " long text without any escape ",
    '\\"',
    "\\\\",
    "\\n",
    "\\t",
    "\\b",
    "\\f",
    "\\r",
    "\u007f",
  ];
  const others = ["\\/", "\\u0041", "\\u000a", "é", "\\q", '"', "\n", "\\"];
  const random = randomFrom(randomSeed());
  const draw = (from: readonly string[]) => from[Math.floor(random() * from.length)]!;
  let copied = 0;
  for (let i = 0; i < 2000; i++) {
    const parts = Array.from({ length: 1 + Math.floor(random() * 8) }, () => draw(pieces));
    const isOther = random() < 0.3;
    // One that is cut off only stands at the end.
    if (isOther) parts.push(draw(others));
    const inside = encoder.encode(parts.join(""));
    const padded = Uint8Array.of(0x22, ...inside, 0x22);
    out.clear();
    out.text("before:");
    assertEquals(out.escapedJsonString(padded, 1, inside.length + 1), !isOther, parts.join(""));
    const text = isOther ? "" : JSON.stringify(JSON.parse(`"${parts.join("")}"`));
    assertEquals(decoder.decode(out.written), `before:${text}`);
    if (!isOther) copied++;
  }
  assert(copied > 1000);
});

Deno.test("Utf8Writer writes texts of any length and kind, and keeps no large buffer", () => {
  const out = new Utf8Writer();
  const long = "a long text, ".repeat(20_000);
  const texts = [
    "",
    "short",
    "é",
    "x".repeat(128),
    "x".repeat(129),
    "ß".repeat(128),
    long,
    "🎉".repeat(70),
  ];
  for (const text of texts) out.text(text);
  assertEquals(decoder.decode(out.written), texts.join(""));
  out.clear();
  assertEquals(out.length, 0);
  out.copy(encoder.encode("abc"), 1);
  const json = encoder.encode('{"a":1,\r\n\t"b":2}');
  assertEquals(out.onOneLine(json, 1, json.length), true);
  assertEquals(decoder.decode(out.written), 'bc"a":1,  \t"b":2}');

  out.text("x".repeat(2_000_000));
  const large = out.written.buffer;
  out.clear();
  assertEquals(out.written.buffer.byteLength < large.byteLength / 10, true);
});
