import type { Clock } from "../../base/clock.ts";

/** Lets callers pass one after the other, `intervalMs` apart at least. */
export class Turns {
  #nextMs = -Infinity;

  constructor(private readonly clock: Clock, private readonly intervalMs: number) {}

  /** Resolves when it is the caller's turn, or `signal` aborts. */
  async take(signal: AbortSignal): Promise<void> {
    const nowMs = this.clock.now();
    const turnMs = Math.max(nowMs, this.#nextMs);
    this.#nextMs = turnMs + this.intervalMs;
    if (turnMs > nowMs) await this.clock.sleep(turnMs - nowMs, signal);
  }
}
