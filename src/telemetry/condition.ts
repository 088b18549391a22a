import type { WriterStats } from "../base/writer_stats.ts";
import { formatSeconds } from "../base/quantity.ts";
import type { Snapshot } from "./run_snapshot.ts";

/** Puts that fail for less are what a busy shard does. */
const FAILING_SECONDS = 2;
/** Of what may wait for Kinesis; PostgreSQL is not read when it is full. */
const FULL_SHARE = 0.8;
/** Who is slow matters only past both. */
const BEHIND_BYTES = 16 * 1024 * 1024;
const BEHIND_SECONDS = 5;

/** How a run is: what stands first in the log's line, in the status line and on the page. */
export interface Condition {
  /** One or two words. */
  readonly word: string;
  /** What it is, and for how long. */
  readonly brief: string;
  /** What it is, since when, and why. */
  readonly text: string;
  readonly why: string | undefined;
  /** Which side the other one waits for, where one of both does. */
  readonly slowSide: string | undefined;
  /** Nothing stands in the way of what is committed. */
  readonly isGood: boolean;
}

export function conditionOf(now: Snapshot): Condition {
  const { state, source, writer } = now;
  const seconds = (now.atMs - now.sinceMs) / 1000;
  switch (state) {
    case "starting":
      return condition(now, { word: state, seconds, isGood: false });
    case "stopping":
      return condition(now, { word: state, seconds, isGood: true });
    case "standby":
      return condition(now, { word: state, phrase: "standing by", seconds, isGood: true });
    case "reconnecting":
      return condition(now, {
        word: "not connected",
        phrase: "not connected to PostgreSQL",
        seconds,
        why: source?.lossReason,
        isGood: false,
      });
    case "streaming": {
      const failing = writer?.failing;
      if (failing === undefined || failing.seconds < FAILING_SECONDS) {
        return condition(now, { word: state, seconds, isGood: true });
      }
      return condition(now, {
        word: "puts failing",
        phrase: failingPhrase(failing, writer!),
        seconds: failing.seconds,
        why: failing.reason,
        isGood: false,
      });
    }
    default:
      return state satisfies never;
  }
}

function failingPhrase(
  { shards, stream, streams }: NonNullable<WriterStats["failing"]>,
  writer: WriterStats,
): string | undefined {
  const all = writer.streams.length;
  if (streams > 1) return `puts into ${streams} of ${all} streams failing, first into ${stream}`;
  const own = writer.streams.find((each) => each.stream === stream)?.shards.length ?? 1;
  const into = own < 2 ? "" : `${shards} of ${own} shards`;
  if (all < 2) return into === "" ? undefined : `puts into ${into} failing`;
  return `puts into ${into === "" ? "" : `${into} of `}stream ${stream} failing`;
}

/**
 * The stream for which all others wait: of several, the one with the most that waits while the memory that
 * they share is full.
 */
export function blockingStream(writer: WriterStats): string | undefined {
  if (writer.streams.length < 2 || !isFull(writer)) return undefined;
  const [first] = writer.streams.toSorted((a, b) => b.pendingBytes - a.pendingBytes);
  return first!.stream;
}

function isFull({ pendingBytes, highWaterBytes }: WriterStats): boolean {
  return pendingBytes >= FULL_SHARE * highWaterBytes;
}

interface Facts {
  readonly word: string;
  /** Default: the word. */
  readonly phrase?: string;
  readonly seconds: number;
  readonly why?: string;
  readonly isGood: boolean;
}

function condition(now: Snapshot, { word, phrase = word, seconds, why, isGood }: Facts): Condition {
  const since = new Date(now.wallMs - seconds * 1000).toISOString().replace(/\.\d+/, "");
  const lasted = formatSeconds(seconds);
  return {
    word,
    brief: `${phrase} for ${lasted}`,
    text: `${phrase} since ${since} (${lasted})${why === undefined ? "" : `: ${why}`}`,
    why,
    slowSide: slowSide(now),
    isGood,
  };
}

function slowSide({ state, writer, lag }: Snapshot): string | undefined {
  if (state !== "streaming" || writer === undefined) return undefined;
  if (isFull(writer)) {
    const stream = blockingStream(writer);
    return `PostgreSQL waits for ${stream === undefined ? "Kinesis" : `stream ${stream}`}`;
  }
  const isBehind = (lag.bytes ?? 0) >= BEHIND_BYTES && (lag.seconds ?? 0) >= BEHIND_SECONDS;
  // The server decodes, or a transaction is not committed yet, before anything is sent.
  return isBehind && writer.pendingBytes === 0 ? "Kinesis waits for PostgreSQL" : undefined;
}
