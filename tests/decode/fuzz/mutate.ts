/** Pieces that mean something to one of the formats; each may turn up anywhere. */
const TOKENS: readonly Uint8Array[] = [
  "'",
  "''",
  '"',
  '""',
  "[",
  "]",
  "[]",
  "]:",
  ":",
  " ",
  ", ",
  ".",
  "\\",
  "\\u0041",
  "\\ud83c",
  "\n",
  "\0",
  "null",
  "true",
  "NaN",
  "-",
  "1e5",
  "B'01'",
  " new-tuple:",
  " old-key:",
  " (no-tuple-data)",
  "unchanged-toast-datum",
  ": TRUNCATE: (no-flags)",
  ", sz: 0 content:",
  " a[text]:'x'",
  '{"name":"',
  '"value":',
  ',"type":"',
  ',"identity":[',
  ',"pk":[',
  "]}",
  "}]}",
  "é",
  "🎉",
  "\uFEFF",
  "\uFFFD",
  "N",
  "K",
  "O",
  "n",
  "u",
  "t",
].map((text) => new TextEncoder().encode(text));

const BYTES = [
  0,
  1,
  0x0A,
  0x20,
  0x22,
  0x27,
  0x2E,
  0x30,
  0x3A,
  0x5B,
  0x5C,
  0x5D,
  0x7D,
  0x7F,
  0x80,
  0xC3,
  0xED,
  0xFF,
];

/** Changes bytes in one to four places: flipped, cut, repeated, inserted, spliced with another message. */
export function mutate(
  bytes: Uint8Array,
  other: Uint8Array,
  random: () => number,
): Uint8Array {
  let result: Uint8Array = bytes.slice();
  const below = (limit: number) => Math.floor(random() * limit);
  for (let times = random() < 0.5 ? 1 : 2 + below(3); times > 0; times--) {
    const at = below(result.length + 1);
    const length = random() < 0.7 ? below(8) : below(result.length - at + 1);
    const before = result.subarray(0, at);
    const piece = result.subarray(at, at + length);
    const after = result.subarray(at + length);
    switch (below(9)) {
      case 0: // One bit flipped.
        if (at < result.length) result[at]! ^= 1 << below(8);
        break;
      case 1: // One byte that means something.
        if (at < result.length) result[at] = BYTES[below(BYTES.length)]!;
        break;
      case 2: // Cut off at the end.
        result = before.slice();
        break;
      case 3: // A piece left out.
        result = join(before, after);
        break;
      case 4: // A piece repeated.
        result = join(before, piece, piece, after);
        break;
      case 5: // A token put in.
        result = join(before, TOKENS[below(TOKENS.length)]!, result.subarray(at));
        break;
      case 6: // A token in the place of another piece.
        result = join(before, TOKENS[below(TOKENS.length)]!, after);
        break;
      case 7: // The rest of another message.
        result = join(before, other.subarray(below(other.length + 1)));
        break;
      case 8: { // A piece of another message.
        const from = below(other.length + 1);
        result = join(before, other.subarray(from, from + below(60)), after);
        break;
      }
    }
  }
  return result;
}

function join(...parts: Uint8Array[]): Uint8Array {
  const result = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    result.set(part, offset);
    offset += part.length;
  }
  return result;
}
