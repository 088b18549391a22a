import { type Clock, countingSleep } from "../../base/clock.ts";

/** The server is asked this often whether the slot is still ours, or more often. */
const LONGEST_PAUSE_MS = 5000;
/** As long as there was no answer, since the connection to ask by is just being made. */
const FIRST_PAUSE_MS = 100;

/** Whom a lease asks, and how long it holds on. */
export interface LeaseTerms {
  readonly walSenderTimeoutMs: number;
  /** Whether the server, asked now, says that the slot is ours; undefined: it does not answer. */
  readonly ask: () => Promise<boolean | undefined>;
  /** Whether the session that the lease is for has ended. */
  readonly isOver: () => boolean;
  readonly signal: AbortSignal;
}

/**
 * Until when a slot is ours. Another may follow it as soon as the server has let go of us, and it does
 * so when it has not heard from us for `wal_sender_timeout`: so it is asked, well within that, whether
 * it still holds the slot for us, also while the socket is not read. A host that slept did not hear
 * what happened meanwhile: its lease runs out in its sleep.
 */
export class SlotLease {
  readonly #passedMs: () => number;
  /** By `#passedMs`; without an end until the server has said for the first time that the slot is ours. */
  #untilMs = Infinity;

  constructor(private readonly clock: Clock) {
    this.#passedMs = countingSleep(clock);
  }

  get isValid(): boolean {
    return this.#passedMs() < this.#untilMs;
  }

  /** The slot was just given to us. */
  begin(): void {
    this.#untilMs = Infinity;
  }

  end(): void {
    this.#untilMs = 0;
  }

  /** Renews the lease until it is over. Gives why it is not renewed any more; undefined: there is no need. */
  async keep({ walSenderTimeoutMs, ask, isOver, signal }: LeaseTerms): Promise<string | undefined> {
    const leaseMs = walSenderTimeoutMs / 3;
    if (leaseMs === 0) return undefined;
    while (true) {
      const isKept = this.#untilMs !== Infinity;
      const pauseMs = isKept ? Math.min(leaseMs / 4, LONGEST_PAUSE_MS) : FIRST_PAUSE_MS;
      await this.clock.sleep(pauseMs, signal);
      const askedMs = this.#passedMs();
      const isHeld = await ask();
      if (signal.aborted || isOver()) return undefined;
      if (isHeld) {
        this.#untilMs = askedMs + leaseMs;
      } else if (!isKept) {
        // There is nobody to ask, or another server answers there: the connection itself must show it.
        if (isHeld === false) return undefined;
      } else if (isHeld === false) {
        return "the server no longer holds the slot for us";
      } else if (!this.isValid) {
        return `for ${Math.round(leaseMs / 1000)} s the server did not say that the slot is ours`;
      }
    }
  }
}
