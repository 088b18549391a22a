import type { Logger } from "@logtape/logtape";
import type { Clock } from "../../base/clock.ts";
import { type Lasted, LastingTrouble } from "../../base/lasting_trouble.ts";

const REPEAT_MS = 10_000;
/** What lasted less ends without a word. */
const WORTH_TELLING_MS = 1_000;

/** Says what requests to Kinesis fail for: at once, every ten seconds, and when they work again. */
export class RequestTrouble {
  readonly #trouble: LastingTrouble;

  constructor(
    clock: Pick<Clock, "now" | "wall">,
    private readonly log: Pick<Logger, "warn" | "info">,
  ) {
    this.#trouble = new LastingTrouble(clock, { repeatMs: REPEAT_MS });
  }

  /** What goes wrong now, and since when by the clock's `now`; undefined: nothing does. */
  get now(): { readonly sinceMs: number; readonly reason: string } | undefined {
    return this.#trouble.now;
  }

  /** `what` failed for this reason; it will be tried again. */
  failed(what: string, reason: string): void {
    const lasted = this.#trouble.failed(reason);
    if (lasted === undefined) return;
    const soFar = lasted.tries === 1 ? "" : `, ${lasted.tries} tries in ${seconds(lasted)} s`;
    this.log.warn("{what} failed and is tried again ({reason}{soFar})", { what, reason, soFar });
  }

  /** `what` went well. */
  over(what: string): void {
    const lasted = this.#trouble.over();
    if (lasted === undefined || lasted.lastsMs < WORTH_TELLING_MS) return;
    this.log.info("{what} works again after {seconds} s, {tries} failures", {
      what,
      seconds: seconds(lasted),
      tries: lasted.tries,
    });
  }
}

const seconds = ({ lastsMs }: Lasted) => (lastsMs / 1000).toFixed(1);
