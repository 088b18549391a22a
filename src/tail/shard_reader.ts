import { getLogger } from "@logtape/logtape";
import { ADVICE } from "../kinesis/client/ask_patiently.ts";
import { Backoff } from "../base/backoff.ts";
import { keepTrying } from "../base/keep_trying.ts";
import type { Clock } from "../base/clock.ts";
import { classify, refusalError } from "../kinesis/client/kinesis_failure.ts";
import type {
  KinesisReadApi,
  ShardPosition,
  StoredRecord,
} from "../kinesis/client/kinesis_read_api.ts";
import { RequestTrouble } from "../kinesis/client/request_trouble.ts";
import type { Permits } from "../base/permits.ts";

/** Five GetRecords a second for each shard. https://docs.aws.amazon.com/streams/latest/dev/service-sizes-and-limits.html */
const READ_EVERY_MS = 200;
/** Of a shard in which nothing new is: the five calls are shared with its other readers. */
const WAIT_FOR_NEW_MS = 1_000;
/** Most that GetRecords gives. */
const PAGE_RECORDS = 10_000;
/** Whoever only wants to see what is there would rather know than wait longer. */
const PATIENCE_MS = 60_000;

const log = getLogger(["pg2kinesis", "tail"]);

export interface ReadContext {
  readonly api: KinesisReadApi;
  readonly streamName: string;
  readonly follow: boolean;
  readonly clock: Clock;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly random: () => number;
  readonly signal: AbortSignal;
  /** Bounds the pages that are in memory at a time. */
  readonly pages: Permits;
}

/** How reading a shard ended: it is closed and was read to its end, or nothing newer is there now. */
export type ShardEnd = "closed" | "caught up";

/**
 * Reads one shard, page by page, from a position on. A page may be empty of records only when it is
 * not given. `isClosed`: the shard is known to be, so that it has an end to wait for.
 * @throws {RunError} what no retry fixes; the signal's reason when it aborts.
 */
export async function* readShard(
  context: ReadContext,
  shardId: string,
  from: ShardPosition,
  isClosed: boolean,
): AsyncGenerator<readonly StoredRecord[], ShardEnd> {
  const { api, streamName, clock, pages, signal } = context;
  const attempt = attempts(context, shardId);
  let position = from;
  const getIterator = async () => {
    const iterator = await attempt(
      "find the place to read in",
      "kinesis:GetShardIterator",
      () => api.getShardIterator(streamName, shardId, position, signal),
    );
    // An iterator that expires before a record was seen must not skip what came in the meantime.
    if (position.kind === "latest") position = { kind: "time", atMs: context.now() };
    return iterator;
  };

  let iterator = await getIterator();
  let nextReadAt = clock.now();
  for (;;) {
    await clock.sleep(Math.max(0, nextReadAt - clock.now()), signal);
    signal.throwIfAborted();
    await pages.acquire();
    try {
      nextReadAt = clock.now() + READ_EVERY_MS;
      const page = await attempt("read", "kinesis:GetRecords", async () => {
        try {
          return await api.getRecords(streamName, iterator, PAGE_RECORDS, signal);
        } catch (error) {
          if (Object(error).name !== "ExpiredIteratorException") throw error;
          log.debug("the iterator of {shardId} has expired, getting another", { shardId });
          return undefined;
        }
      });
      if (page === undefined) {
        iterator = await getIterator();
        continue;
      }
      const { records, nextIterator, millisBehindLatest } = page;
      if (records.length > 0) {
        yield records;
        position = { kind: "after", sequenceNumber: records.at(-1)!.sequenceNumber };
      }
      if (nextIterator === undefined) return "closed";
      iterator = nextIterator;
      const isAtTip = millisBehindLatest === 0 && records.length < PAGE_RECORDS;
      if (isAtTip && !isClosed) {
        if (!context.follow) return "caught up";
        nextReadAt += WAIT_FOR_NEW_MS - READ_EVERY_MS;
      }
    } finally {
      pages.release();
    }
  }
}

/** Makes the function that retries what may pass, and says so when it lasts. */
function attempts(context: ReadContext, shardId: string) {
  const { clock, signal, api, streamName, follow, random } = context;
  const backoff = new Backoff(random);
  const trouble = new RequestTrouble(clock, log);
  return async <T>(verb: string, action: string, call: () => Promise<T>): Promise<T> => {
    const asked = {
      verb: `${verb} shard ${shardId} of`,
      stream: streamName,
      region: api.region,
      action,
      forReading: true,
    };
    const what = `${action} of ${shardId}`;
    const began = clock.now();
    const failed = (error: unknown) => {
      const failure = classify(error, asked);
      if (failure.kind === "refused") throw refusalError(failure, asked, error);
      const { detail, reason } = failure;
      if (reason === "throttled") {
        // Nothing unusual: the shard has other readers, or gave 10 MiB just now.
        log.debug("{what} is throttled: {detail}", { what, detail });
        return;
      }
      if (!follow && clock.now() - began >= PATIENCE_MS) {
        throw refusalError({ detail, advice: ADVICE[reason] }, asked, error);
      }
      trouble.failed(what, detail);
    };
    const answer = await keepTrying(call, {
      clock,
      signal,
      pauseMs: () => Math.max(READ_EVERY_MS, backoff.nextMs()),
      failed,
    });
    trouble.over(what);
    backoff.reset();
    return answer;
  };
}
