import type { Logger } from "@logtape/logtape";

/** A trouble that lasts is told again this often. */
const REPEAT_MS = 10_000;
/** One that lasted less is over without a word. */
const WORTH_TELLING_MS = 1_000;

/**
 * Says what goes wrong at a sane rate: at once, then every ten seconds with how long and how often,
 * and once more when it is over.
 */
export class Trouble {
  #since: number | undefined;
  #tries = 0;
  #toldAtMs = -Infinity;
  #wasTold = false;
  #reason = "";

  /** What goes wrong now, and since when by the clock of `failed`; undefined: nothing does. */
  get now(): { readonly sinceMs: number; readonly reason: string } | undefined {
    return this.#since === undefined ? undefined : { sinceMs: this.#since, reason: this.#reason };
  }

  constructor(private readonly log: Pick<Logger, "warn" | "info">) {}

  /** `what` failed for this reason; it will be tried again. */
  failed(nowMs: number, what: string, reason: string): void {
    this.#since ??= nowMs;
    this.#tries++;
    this.#reason = reason;
    if (nowMs - this.#toldAtMs < REPEAT_MS) return;
    this.#toldAtMs = nowMs;
    this.#wasTold = true;
    const soFar = this.#tries === 1 ? "" : `, ${this.#tries} tries in ${this.#seconds(nowMs)} s`;
    this.log.warn("{what} failed and is tried again ({reason}{soFar})", { what, reason, soFar });
  }

  /** `what` went well. */
  over(nowMs: number, what: string): void {
    if (this.#since === undefined) return;
    if (this.#wasTold && nowMs - this.#since >= WORTH_TELLING_MS) {
      this.log.info("{what} works again after {seconds} s, {tries} failures", {
        what,
        seconds: this.#seconds(nowMs),
        tries: this.#tries,
      });
    }
    this.#since = undefined;
    this.#tries = 0;
    this.#wasTold = false;
  }

  #seconds(nowMs: number): string {
    return ((nowMs - this.#since!) / 1000).toFixed(1);
  }
}
