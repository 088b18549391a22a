import { getLogger } from "@logtape/logtape";
import { RunError } from "../../base/errors.ts";
import type { KinesisApi } from "../client/kinesis_api.ts";
import type { Clock } from "../../base/clock.ts";
import { type Asked, classify, KEPT, refusalError } from "../client/kinesis_failure.ts";
import { distributionProblem } from "./open_stream.ts";

const LOOK_EVERY_MS = 60_000;
/** However many errors there are: an account may ask 20 times a second, for all that it runs. */
const LOOK_AT_MOST_EVERY_MS = 1_000;

const log = getLogger(["pg2kinesis", "kinesis"]);

/**
 * Notices that the stream was deleted and made again: a new stream of the same name takes puts as if
 * nothing had happened, while all that was confirmed to PostgreSQL is gone with the old one. Notices, too,
 * that it was told to spread records without their partition keys.
 */
export class StreamWatch {
  #looking: Promise<RunError | undefined> | undefined;
  #isNudged = false;
  #nudge = new AbortController();

  constructor(
    private readonly api: KinesisApi,
    private readonly streamName: string,
    private readonly createdAt: number | undefined,
    private readonly clock: Clock,
    private readonly closing: AbortSignal,
    /** Waits for a turn to ask, where many streams are watched. */
    private readonly turn: () => Promise<void> = () => Promise.resolve(),
  ) {
    closing.addEventListener("abort", () => this.#nudge.abort());
  }

  /** Looks every minute and after each nudge, until it finds out something or the writer closes. */
  async run(): Promise<RunError | undefined> {
    if (this.createdAt === undefined) return undefined;
    while (!this.closing.aborted) {
      if (!this.#isNudged) await this.clock.sleep(LOOK_EVERY_MS, this.#nudge.signal);
      this.#isNudged = false;
      this.#nudge = new AbortController();
      const error = await this.look();
      if (error !== undefined) return error;
      await this.clock.sleep(LOOK_AT_MOST_EVERY_MS, this.closing);
    }
    return undefined;
  }

  /** An error was seen: the stream is looked at soon. */
  nudge(): void {
    this.#isNudged = true;
    this.#nudge.abort();
  }

  /** What is wrong with the stream; undefined if it is the same one, or that is unknown now. */
  look(): Promise<RunError | undefined> {
    this.#looking ??= this.#look().finally(() => this.#looking = undefined);
    return this.#looking;
  }

  async #look(): Promise<RunError | undefined> {
    const { streamName: stream, api: { region } } = this;
    try {
      await this.turn();
      const { createdAt, status, distribution } = await this.api.describeStream(
        stream,
        this.closing,
      );
      if (status === "DELETING") {
        return new RunError(
          `stream ${stream} (${region}) is being deleted; ${KEPT}: recreate the stream, or name ` +
            "another with --stream-name, and start again",
        );
      }
      // Which may be switched on at any time.
      const problem = distributionProblem(stream, region, distribution);
      if (problem !== undefined) {
        return new RunError(`${problem.found}; ${KEPT}: ${problem.advice}`);
      }
      if (createdAt === undefined || this.createdAt === undefined) return undefined;
      if (createdAt === this.createdAt) return undefined;
      return new RunError(
        `stream ${stream} (${region}) was deleted and recreated at ${
          isoTime(createdAt)
        } (this run ` +
          `began with the one of ${
            isoTime(this.createdAt)
          }): what was stored before is gone with ` +
          "it; start again to publish to the new stream",
      );
    } catch (error) {
      if (this.closing.aborted) return undefined;
      const asked: Asked = {
        verb: "find",
        stream,
        region,
        action: "kinesis:DescribeStreamSummary",
        whileRunning: true,
      };
      const failure = classify(error, asked);
      if (failure.kind === "refused" && failure.doubt === "stream") {
        return refusalError(failure, asked, error);
      }
      log.debug("cannot look at stream {stream} now: {detail}", { stream, detail: failure.detail });
      return undefined;
    }
  }
}

function isoTime(ms: number): string {
  return new Date(ms).toISOString();
}
