import { formatLsn, type Lsn } from "../base/lsn.ts";
import type { Utf8Writer } from "./utf8_writer.ts";

const encoder = new TextEncoder();

/**
 * Writes {@linkcode formatLsn}'s text at a fraction of its cost for LSNs that lie near each other: what
 * stands before the last four digits is kept.
 */
export class LsnText {
  #top = -1;
  #topText = new Uint8Array(0);

  write(lsn: Lsn, out: Utf8Writer): void {
    const position = Number(lsn);
    const top = Math.floor(position / 0x1_0000);
    // Without leading zeros the last four digits are fewer where the low half is below 0x1_0000.
    if (position > Number.MAX_SAFE_INTEGER || top % 0x1_0000 === 0) {
      out.text(formatLsn(lsn));
      return;
    }
    if (top !== this.#top) {
      this.#top = top;
      this.#topText = encoder.encode(formatLsn(lsn).slice(0, -4));
    }
    out.copy(this.#topText);
    out.fourHexDigits(position - top * 0x1_0000);
  }
}
