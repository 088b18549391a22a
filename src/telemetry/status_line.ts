import { backfillWords } from "./backfill_words.ts";
import { formatBytes, formatCount, formatSeconds } from "../base/quantity.ts";
import { conditionOf } from "./condition.ts";
import { type CatchUp, catchUpWords, type Rates } from "./rates.ts";
import type { Snapshot } from "./run_snapshot.ts";

const BETWEEN = " · ";

interface Piece {
  readonly text: string;
  /** The greater, the sooner it goes when there is no room for all. */
  readonly rank: number;
}

/** What is known now, in one line of at most `columns` characters. */
export function renderStatus(
  now: Snapshot,
  rates: Rates,
  catchUp: CatchUp,
  columns: number,
): string {
  let pieces = piecesOf(now, rates, catchUp);
  while (pieces.length > 1 && widthOf(pieces) > columns) {
    const last = Math.max(...pieces.map(({ rank }) => rank));
    pieces = pieces.filter(({ rank }) => rank !== last);
  }
  const line = pieces.map(({ text }) => text).join(BETWEEN);
  if (line.length <= columns) return line;
  return columns < 1 ? "" : line.slice(0, columns - 1) + "…";
}

function piecesOf(now: Snapshot, rates: Rates, catchUp: CatchUp): Piece[] {
  const { lag, slot, writer } = now;
  const backfill = backfillWords(now, rates.rows);
  const throttled = writer?.failures.throttled ?? 0;
  const condition = conditionOf(now);
  const pieces: (Piece | undefined)[] = [
    condition.word === "streaming" ? undefined : { rank: 0, text: condition.brief },
    condition.why === undefined ? undefined : { rank: 2, text: condition.why },
    condition.slowSide === undefined ? undefined : { rank: 4, text: condition.slowSide },
    lag.seconds === undefined ? undefined : { rank: 1, text: `lag ${formatSeconds(lag.seconds)}` },
    lag.bytes === undefined ? undefined : { rank: 3, text: `${formatBytes(lag.bytes)} behind` },
    catchUp.kind === "none" ? undefined : { rank: 2, text: catchUpWords(catchUp) },
    { rank: 4, text: `${formatCount(rates.changes)} changes/s` },
    backfill === "" ? undefined : { rank: 3, text: backfill },
    { rank: 6, text: speed(rates.bytes) },
    { rank: 8, text: `${formatCount(rates.puts)} puts/s` },
    rates.failedPuts < 1
      ? undefined
      : { rank: 5, text: `${formatCount(rates.failedPuts)} failed puts/s` },
    rates.throttles > 0
      ? { rank: 5, text: `${formatCount(Math.ceil(rates.throttles))} throttled/s` }
      : { rank: 10, text: `${formatCount(throttled)} throttled` },
    slot?.retainedBytes === undefined
      ? undefined
      : { rank: 7, text: `WAL kept ${formatBytes(slot.retainedBytes)}${leftWords(slot)}` },
    rates.busiestShard === undefined || (writer?.shards.length ?? 0) < 2 ? undefined : {
      rank: 9,
      text: `busiest ${shortShard(rates.busiestShard.shardId)}${
        (writer?.streams.length ?? 0) < 2 ? "" : ` of ${rates.busiestShard.stream}`
      } ${speed(rates.busiestShard.bytes)}`,
    },
    { rank: 11, text: placesOf(now) },
  ];
  return pieces.filter((piece) => piece !== undefined);
}

/** `shop at db:5432 into changes in eu-west-1`. */
function placesOf({ names: { database, host, stream, region } }: Snapshot): string {
  const where = region === undefined ? "" : ` in ${region}`;
  return `${database} at ${host} into ${stream}${where}`;
}

function leftWords({ safeWalBytes }: NonNullable<Snapshot["slot"]>): string {
  if (safeWalBytes === undefined) return "";
  return ` (lost after ${formatBytes(Math.max(0, safeWalBytes))} more)`;
}

/** `shardId-000000000012` as `shard 12`. */
function shortShard(shardId: string): string {
  return shardId.replace(/^shardId-0*(?=\d)/, "shard ");
}

const speed = (bytes: number) => `${formatBytes(Math.ceil(bytes))}/s`;

function widthOf(pieces: readonly Piece[]): number {
  return pieces.reduce((sum, { text }) => sum + text.length, 0) +
    BETWEEN.length * (pieces.length - 1);
}
