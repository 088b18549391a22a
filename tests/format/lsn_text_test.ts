import { assertEquals } from "@std/assert";
import { LsnText } from "../../src/format/lsn_text.ts";
import { Utf8Writer } from "../../src/format/utf8_writer.ts";
import { formatLsn } from "../../src/base/lsn.ts";
import { randomFrom, randomSeed } from "../support/random.ts";

Deno.test("LsnText writes what formatLsn gives, at the edges and at random steps", () => {
  const text = new LsnText();
  const out = new Utf8Writer();
  const written = (lsn: bigint) => {
    out.clear();
    text.write(lsn, out);
    return new TextDecoder().decode(out.written);
  };
  const edges = [0n, 1n, 0xFFFFn, 0x1_0000n, 0xFFFF_FFFFn, 0x1_0000_0000n, 0x1_0000_FFFFn];
  const far = [0xABC_0001_000Fn, (1n << 53n) + 1n, 0xFFFF_FFFF_FFFF_FFFFn];
  for (const lsn of [...edges, ...far, ...edges]) assertEquals(written(lsn), formatLsn(lsn));

  const random = randomFrom(randomSeed());
  let lsn = 0xFFFE_0000n;
  for (let i = 0; i < 100_000; i++) {
    lsn += BigInt(Math.floor(random() ** 4 * 0x4_0000));
    if (written(lsn) !== formatLsn(lsn)) assertEquals(written(lsn), formatLsn(lsn));
  }
});
