import { getLogger } from "@logtape/logtape";
import { Backoff } from "../../base/backoff.ts";
import type { Clock } from "../../base/clock.ts";
import { keepTrying } from "../../base/keep_trying.ts";
import { LastingTrouble } from "../../base/lasting_trouble.ts";
import { type Asked, classify, NETWORK_ADVICE, refusalError } from "./kinesis_failure.ts";

/** While a person waits: what fails for this long is reported, not retried. */
export const PATIENCE_MS = 15_000;
/** When to report that there is no answer: a connection to nowhere takes 10 s to fail, an answer 30 s. */
const SILENCE_MS = 3_000;

/** How often a lasting reason is repeated: whoever waits sees that it is retried, but not each attempt. */
const REPEAT_MS = 5_000;

const log = getLogger(["pg2kinesis", "kinesis"]);

/**
 * Tries again what may pass, for as long as a person would wait; then says what is wrong. A throttle
 * is nobody's fault: `throttlePatienceMs` is for those.
 * @throws {RunError} one line; the signal's reason when it aborts.
 */
export function askPatiently<T>(
  asked: Asked,
  call: () => Promise<T>,
  clock: Clock,
  random: () => number,
  signal: AbortSignal,
  patienceMs = PATIENCE_MS,
  throttlePatienceMs = patienceMs,
): Promise<T> {
  const backoff = new Backoff(random);
  const began = clock.now();
  const trouble = new LastingTrouble(clock, { repeatMs: REPEAT_MS, saysNewReasons: true });
  const failed = (error: unknown) => {
    const failure = classify(error, asked);
    if (failure.kind === "refused") throw refusalError(failure, asked, error);
    const patience = failure.reason === "throttled" ? throttlePatienceMs : patienceMs;
    const isForSomebody = failure.reason === "credentials" && failure.passes !== true;
    const leftMs = began + patience - clock.now();
    if (isForSomebody || leftMs <= 0) {
      const isQuota = failure.reason === "throttled" && asked.action === "kinesis:CreateStream";
      throw refusalError(
        { detail: failure.detail, advice: isQuota ? QUOTA_ADVICE : ADVICE[failure.reason] },
        asked,
        error,
      );
    }
    if (trouble.failed(failure.reason) === undefined) return;
    log.warn(
      "cannot {verb} stream {stream} yet: {detail}; trying for {seconds} s more in {region}{advice}",
      {
        verb: asked.verb,
        stream: asked.stream,
        region: asked.region,
        detail: failure.detail,
        seconds: Math.ceil(leftMs / 1000),
        advice: failure.reason === "network" ? `; ${ADVICE.network}` : "",
      },
    );
  };
  return keepTrying(() => sayingSilence(asked, call, clock, signal), {
    clock,
    signal,
    pauseMs: () => backoff.nextMs(),
    failed,
  });
}

/** Makes the call, and says so when it is not answered for a while. */
async function sayingSilence<T>(
  { verb, stream, region }: Asked,
  call: () => Promise<T>,
  clock: Clock,
  signal: AbortSignal,
): Promise<T> {
  const answered = new AbortController();
  const over = AbortSignal.any([signal, answered.signal]);
  clock.sleep(SILENCE_MS, over).then(() => {
    if (over.aborted) return;
    log.warn(
      "cannot {verb} stream {stream} yet: no answer from {region} after {seconds} s; {advice}",
      { verb, stream, region, seconds: SILENCE_MS / 1000, advice: ADVICE.network },
    );
  });
  return await call().finally(() => answered.abort());
}

/** https://docs.aws.amazon.com/kinesis/latest/APIReference/API_CreateStream.html: LimitExceededException. */
const QUOTA_ADVICE =
  "the account's quota of streams or shards in this region is used up, or five streams are being " +
  "created: raise it in Service Quotas, delete a stream, or ask for fewer shards (--shard-count)";

/** What to do about what did not pass. */
export const ADVICE = {
  throttled: "the account's limit for such requests is used up: start again later",
  service: "Kinesis does not work at the moment: start again later",
  network: NETWORK_ADVICE,
  credentials: "get new AWS credentials and check this machine's clock",
} as const;
