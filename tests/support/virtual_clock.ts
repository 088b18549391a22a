import { setImmediate } from "node:timers";
import type { Clock } from "../../src/base/clock.ts";

interface Timer {
  readonly atMs: number;
  readonly ring: () => void;
}

/** A clock that jumps to whatever is due next as soon as everything else has come to rest. */
export class VirtualClock implements Clock {
  #nowMs = 0;
  /** By time, later ones first; equal ones in reverse order of their making. */
  readonly #timers: Timer[] = [];

  now(): number {
    return this.#nowMs;
  }

  wall(): number {
    return this.#nowMs;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const timer: Timer = {
        atMs: this.#nowMs + Math.max(0, ms),
        ring: () => {
          signal?.removeEventListener("abort", cancel);
          resolve();
        },
      };
      const cancel = () => {
        this.#timers.splice(this.#timers.indexOf(timer), 1);
        resolve();
      };
      signal?.addEventListener("abort", cancel, { once: true });
      let place = this.#timers.length;
      while (place > 0 && this.#timers[place - 1]!.atMs <= timer.atMs) place--;
      this.#timers.splice(place, 0, timer);
    });
  }

  /** Lets time pass until `work` is done; it must be within `limitMs`. */
  async run<T>(work: Promise<T>, limitMs: number): Promise<T> {
    const deadline = this.#nowMs + limitMs;
    let isDone = false;
    const finished = work.finally(() => isDone = true);
    finished.catch(() => {});
    for (;;) {
      await new Promise((resolve) => setImmediate(resolve));
      if (isDone) return finished;
      const timer = this.#timers.pop();
      if (timer === undefined) {
        throw new Error(`stuck at ${this.#nowMs} ms: nothing is due any more`);
      }
      if (timer.atMs > deadline) throw new Error(`not done after ${limitMs} ms`);
      this.#nowMs = timer.atMs;
      timer.ring();
    }
  }
}
