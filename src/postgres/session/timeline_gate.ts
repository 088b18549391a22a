import { failed, PostgresError } from "../connection/postgres_error.ts";
import type { ReplicationMessage } from "../../base/replication_message.ts";

/** What one read of the socket brought. */
export interface Read {
  readonly messages: ReplicationMessage[];
  /** That were read for them. */
  readonly bytes: number;
  /** Of these, those that were not kept. */
  readonly dropped: number;
}

export interface TimelineGateOptions {
  /** Of the WAL that the server replayed when the session began. */
  readonly timeline: number;
  /** Asks the server for the timeline that it replays or writes now. */
  readonly ask: () => Promise<number>;
  /** Takes what is known to be of this timeline, in the order in which it came. */
  readonly pass: (read: Read) => void;
  /** The session is of no more use: nothing more is passed. */
  readonly end: (error: PostgresError) => void;
  /** Nothing more is asked. */
  readonly release: () => void;
  /** Names the server for a person. */
  readonly place: string;
}

/**
 * Keeps back what a standby sends until it is known to be of the timeline that the session began on. A
 * standby that is promoted, or follows a server that was, goes on with the session and says nothing of
 * its new timeline; but an LSN names a place in the WAL only together with its timeline. So the server
 * is asked behind everything that came: while it is still on the old timeline, all of that was. One
 * question at a time is under way, for all that came before it.
 */
export class TimelineGate {
  #waiting: Read[] = [];
  #bytes = 0;
  #isAsking = false;
  #isClosed = false;

  constructor(private readonly options: TimelineGateOptions) {}

  /** Read, and not passed yet. */
  get bytes(): number {
    return this.#bytes;
  }

  push(read: Read): void {
    if (this.#isClosed) return;
    this.#waiting.push(read);
    this.#bytes += read.bytes - read.dropped;
    if (!this.#isAsking) void this.#ask();
  }

  /** The session is over: what was kept back is not passed, and comes again in the next one. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.options.release();
    this.#waiting = [];
    this.#bytes = 0;
  }

  async #ask(): Promise<void> {
    const { timeline, ask, pass, place } = this.options;
    this.#isAsking = true;
    try {
      while (this.#waiting.length > 0) {
        const asked = this.#waiting;
        this.#waiting = [];
        const now = await ask();
        if (this.#isClosed) return;
        if (now !== timeline) {
          throw new PostgresError(
            `${place} went from timeline ${timeline} to ${now} under the open session`,
            { transient: true },
          );
        }
        for (const read of asked) {
          this.#bytes -= read.bytes - read.dropped;
          pass(read);
        }
      }
      this.#isAsking = false;
    } catch (error) {
      this.#end(error);
    }
  }

  #end(error: unknown): void {
    if (this.#isClosed) return;
    this.close();
    const { end, place } = this.options;
    end(error instanceof PostgresError ? error : failed(`cannot follow ${place}`, error));
  }
}
