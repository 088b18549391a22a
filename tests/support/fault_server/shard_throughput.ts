/** What a shard takes: 1 MiB/s and 1,000 records/s, unless a test says otherwise. */
export interface ThroughputLimits {
  readonly bytesPerSecond: number;
  readonly recordsPerSecond: number;
  /**
   * `bucket` refills all the time and holds one second's worth; `window` counts anew with each whole
   * second. Nobody outside of AWS knows which it is, so a writer should do well with both.
   */
  readonly kind: "bucket" | "window";
}

/** Counts what one shard takes in. */
export class ShardThroughput {
  #bytes: number;
  #records: number;
  #atMs: number;
  /** What was taken and refused since the shard was opened. */
  readonly usage = { bytes: 0, records: 0, throttled: 0 };

  constructor(private readonly limits: ThroughputLimits, nowMs: number) {
    this.#bytes = limits.bytesPerSecond;
    this.#records = limits.recordsPerSecond;
    this.#atMs = nowMs;
  }

  /** Takes it in, or says no. */
  take(nowMs: number, bytes: number, records: number): boolean {
    const { bytesPerSecond, recordsPerSecond, kind } = this.limits;
    const seconds = kind === "bucket"
      ? (nowMs - this.#atMs) / 1000
      : Math.floor(nowMs / 1000) - Math.floor(this.#atMs / 1000);
    this.#atMs = nowMs;
    this.#bytes = Math.min(bytesPerSecond, this.#bytes + seconds * bytesPerSecond);
    this.#records = Math.min(recordsPerSecond, this.#records + seconds * recordsPerSecond);
    // A record of more than a second's worth needs a full second.
    if (this.#records < records || this.#bytes < Math.min(bytes, bytesPerSecond)) {
      this.usage.throttled += records;
      return false;
    }
    this.usage.bytes += bytes;
    this.usage.records += records;
    this.#bytes -= bytes;
    this.#records -= records;
    return true;
  }
}
