import type { Clock } from "../base/clock.ts";
import type { RecordWriter } from "../base/record_writer.ts";

const MIB = 1024 * 1024;
const MIN_CHUNK_BYTES = 2 * MIB;
/**
 * Rows in hand take several times their text, and marks cost little: at 60,000 rows of 200 bytes a second
 * chunks of 32 MiB took the run to a peak of 226 MiB.
 */
const MAX_CHUNK_BYTES = 6 * MIB;
const SAMPLE_MS = 1000;

/** How much is read, and when: live changes go first. */
export class Pace {
  #sample: { readonly atMs: number; readonly bytes: number } | undefined;
  #bytesPerSecond = 0;
  /** Before this nothing is read, by the limit of rows a second. */
  #notBeforeMs = -Infinity;

  constructor(
    private readonly writer: Pick<RecordWriter, "pendingBytes" | "stats">,
    private readonly clock: Clock,
    private readonly rate: number | undefined,
  ) {}

  /** Rows of one read, at most. */
  get rowsAtOnce(): number {
    return this.rate === undefined ? Infinity : Math.max(1, Math.floor(this.rate));
  }

  /** What the lanes stored in the last second, within limits. */
  chunkBytes(): number {
    const nowMs = this.clock.now();
    const before = this.#sample;
    if (before === undefined || nowMs - before.atMs >= SAMPLE_MS) {
      const { bytes } = this.writer.stats();
      if (before !== undefined) {
        this.#bytesPerSecond = (bytes - before.bytes) * 1000 / (nowMs - before.atMs);
      }
      this.#sample = { atMs: nowMs, bytes };
    }
    return Math.min(Math.max(this.#bytesPerSecond, MIN_CHUNK_BYTES), MAX_CHUNK_BYTES);
  }

  /** Whether Kinesis takes what it is given. */
  get isKinesisBehind(): boolean {
    const { pendingBytes, highWaterBytes, failing } = this.writer.stats();
    return failing !== undefined || pendingBytes >= highWaterBytes;
  }

  /** Why nothing may be read now; undefined: something may. */
  waitsFor(nowMs: number): "kinesis" | "rate" | undefined {
    return this.isKinesisBehind ? "kinesis" : nowMs < this.#notBeforeMs ? "rate" : undefined;
  }

  read(rows: number, nowMs: number): void {
    if (this.rate === undefined) return;
    this.#notBeforeMs = Math.max(nowMs, this.#notBeforeMs) + rows * 1000 / this.rate;
  }
}
