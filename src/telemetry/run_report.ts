import { getLogger } from "@logtape/logtape";
import { formatLsn } from "../base/lsn.ts";
import type { LogOptions } from "../options.ts";
import { blockingStream, conditionOf } from "./condition.ts";
import { History } from "./history.ts";
import { printable } from "../base/printable.ts";
import type { RunObserver } from "./observer.ts";
import { answeredPuts, catchUpWords, estimateCatchUp, ratesBetween } from "./rates.ts";
import type { Snapshot } from "./run_snapshot.ts";
import { redact } from "../base/redaction.ts";
import { renderStatus } from "./status_line.ts";
import { showStatus } from "./stderr.ts";

const LINE_EVERY_MS = 10_000;
const STATUS_EVERY_MS = 1_000;
/** Over which the status line's rates are taken, and an estimate. */
const RATE_SPAN_MS = 5_000;
const ESTIMATE_SPAN_MS = 60_000;

/**
 * Tells how the run goes: on a terminal by a status line, otherwise by a line every ten seconds.
 * Where the log says nothing but warnings, neither. To be disposed at the end.
 */
export function reportRun(observer: RunObserver, log: LogOptions): Disposable {
  if (log.level === "warning" || log.level === "error") return { [Symbol.dispose]: () => {} };
  const isTerminal = log.format === "text" && Deno.stderr.isTerminal() &&
    Deno.env.get("TERM") !== "dumb";
  return isTerminal ? showStatusLine(observer) : logLines(observer, log);
}

function showStatusLine(observer: RunObserver): Disposable {
  const history = new History(ESTIMATE_SPAN_MS);
  const show = () => {
    const now = observer.snapshot();
    history.add(now);
    const rates = ratesBetween(history.before(RATE_SPAN_MS) ?? now, now);
    const catchUp = estimateCatchUp(history.first ?? now, now);
    // In the last column a terminal would go on to the next line.
    showStatus(printable(redact(renderStatus(now, rates, catchUp, columns() - 1))));
  };
  const timer = setInterval(show, STATUS_EVERY_MS);
  show();
  return {
    [Symbol.dispose]: () => {
      clearInterval(timer);
      showStatus("");
    },
  };
}

function columns(): number {
  try {
    return Deno.consoleSize().columns || 80;
  } catch {
    return 80;
  }
}

function logLines(observer: RunObserver, log: LogOptions): Disposable {
  const logger = getLogger(["pg2kinesis", "progress"]);
  const history = new History(ESTIMATE_SPAN_MS);
  history.add(observer.snapshot());
  const timer = setInterval(() => {
    const before = history.before(0)!;
    const now = observer.snapshot();
    history.add(now);
    const catchUp = catchUpWords(estimateCatchUp(history.first!, now));
    const condition = conditionOf(now);
    // Whatever is committed while there is no connection, nobody says.
    const isKnown = now.source?.isConnected === true && now.lag.bytes !== undefined;
    logger.info(
      "{condition}; xid {xid}: {changes} changes ({mebibytes} MiB) in {seconds} s, {total} in all; " +
        `confirmed {confirmed}, behind by ${isKnown ? "" : "at least "}{behind} bytes, ` +
        "{pending} bytes waiting for Kinesis" +
        (condition.slowSide === undefined ? "" : "; {slow_side}") +
        (catchUp === "" ? "" : "; {catch_up}"),
      {
        condition: condition.text,
        ...(condition.slowSide === undefined ? {} : { slow_side: condition.slowSide }),
        xid: now.progress.xid,
        changes: now.progress.changes - before.progress.changes,
        mebibytes: ((now.progress.bytes - before.progress.bytes) / 1048576).toFixed(1),
        seconds: LINE_EVERY_MS / 1000,
        total: now.progress.changes,
        confirmed: formatLsn(now.position?.confirmedLsn ?? 0n),
        behind: bytesBehind(now),
        pending: now.writer?.pendingBytes ?? 0,
        ...(catchUp === "" ? {} : { catch_up: catchUp }),
        ...(log.format === "json" ? forMachines(before, now) : {}),
      },
    );
  }, LINE_EVERY_MS);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

function bytesBehind({ lag, position }: Snapshot): number {
  if (lag.bytes !== undefined) return lag.bytes;
  if (position === undefined) return 0;
  const { receivedLsn, confirmedLsn } = position;
  return receivedLsn > confirmedLsn ? Number(receivedLsn - confirmedLsn) : 0;
}

/** What the line of text has no room for. */
function forMachines(before: Snapshot, now: Snapshot): Record<string, unknown> {
  const rates = ratesBetween(before, now);
  return {
    state: now.state,
    lag_seconds: now.lag.seconds,
    retained_wal_bytes: now.slot?.retainedBytes,
    safe_wal_bytes: now.slot?.safeWalBytes,
    puts: answeredPuts(now) - answeredPuts(before),
    failing: now.writer?.failing,
    throttled: (now.writer?.failures.throttled ?? 0) - (before.writer?.failures.throttled ?? 0),
    busiest_shard: rates.busiestShard?.shardId,
    lanes: now.writer?.shards.length,
    ...(now.backfill.requests.length === 0 ? {} : {
      backfill_rows: now.backfill.rows,
      backfill_expected_rows: now.backfill.expected,
      backfill_tables_pending: now.backfill.tablesPending,
    }),
    ...(now.writer === undefined || now.writer.streams.length < 2 ? {} : {
      streams: now.writer.streams.length,
      busiest_shard_stream: rates.busiestShard?.stream,
      waits_for_stream: blockingStream(now.writer),
    }),
  };
}
