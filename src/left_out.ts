import { getLogger } from "@logtape/logtape";
import { RunError } from "./base/errors.ts";
import { formatLsn } from "./base/lsn.ts";
import type { ServerWarning } from "./base/replication_message.ts";
import type { AmbiguousMessage } from "./decode/event.ts";
import { type IsWanted, mayBeWanted } from "./decode/wal2json/left_out_row.ts";
import type { Change, FormatProblem } from "./format/formatter.ts";
import type { PolicyOptions } from "./options.ts";
import type { Progress, SkipReason } from "./run_progress.ts";

const logger = getLogger(["pg2kinesis", "publish"]);

const LEFT_OUT = {
  row: {
    found: "PostgreSQL left a change out",
    advice:
      "give the table a replica identity (ALTER TABLE … REPLICA IDENTITY FULL, or a primary " +
      "key), leave it out with --exclude-table, or ",
  },
  publication: {
    found: "PostgreSQL left changes out",
    advice: "create the publication again, which changes from before it do not see, or ",
  },
  unclear: { found: "PostgreSQL warns", advice: "it may have left changes out; " },
} as const satisfies Record<ServerWarning["leftOut"], { found: string; advice: string }>;

/** What a problem counts as when the policy lets the run go on. */
const SKIP_REASON_OF = {
  "no-key": "no_key",
  "key-not-sent": "key_not_sent",
  "unknown-table": "unknown_table",
} as const satisfies Record<FormatProblem["kind"], SkipReason>;

/** What is left out of the stream, or stops the run: by the policies that the operator chose. */
export class LeftOut {
  /** Problem and table: reported once. */
  readonly #warned = new Set<string>();

  constructor(
    private readonly isWanted: IsWanted,
    private readonly policy: PolicyOptions,
    private readonly progress: Progress,
  ) {}

  /** The walsender says, behind what it sent at `place`, that it left something out (invariant 7). */
  byServer(warning: ServerWarning, place: string): void {
    if (warning.leftOut === "row" && !mayBeWanted(warning.text, this.isWanted)) return;
    const { text } = warning;
    const found = LEFT_OUT[warning.leftOut].found;
    if (this.policy.onPluginSkip === "stop") {
      throw new RunError(
        `${found} after ${place}: ${text}; ${LEFT_OUT[warning.leftOut].advice}go on ` +
          "in such a case with --on-plugin-skip warn",
      );
    }
    this.progress.skipped.left_out_by_server++;
    logger.warn("{found} after {place}: {text}", { found, place, text });
  }

  /** Stops nothing, since whoever may write messages could write such a one. */
  message({ lsn, transaction, prefix }: AmbiguousMessage): void {
    this.progress.skipped.ambiguous_message++;
    logger.warn(
      "leaving out the logical message at LSN {place}: test_decoding does not show whether its prefix " +
        "is {prefix} or a longer one, nor where its content begins",
      {
        place: formatLsn(lsn) + (transaction === undefined ? "" : ` (xid ${transaction.xid})`),
        prefix: JSON.stringify(prefix),
      },
    );
  }

  /** @throws {RunError} where the policy is to stop */
  change(change: Change, problem: FormatProblem): void {
    const { flag, goesOn, hint } = this.#rule(problem.kind);
    if (!goesOn) {
      throw new RunError(
        `cannot publish ${describeChange(change)}: ${problem.reason}; ${
          problem.hint ?? hint
        }, or choose ${flag}`,
      );
    }
    this.progress.skipped[SKIP_REASON_OF[problem.kind]]++;
    const warned = `${problem.kind} ${problem.table}`;
    if (this.#warned.has(warned)) return;
    rememberTable(this.#warned, warned);
    logger.warn("leaving out {change}, and all others like it: {reason}", {
      change: describeChange(change),
      reason: problem.reason,
    });
  }

  #rule(kind: FormatProblem["kind"]) {
    switch (kind) {
      case "no-key":
        return {
          goesOn: this.policy.onMissingPkey === "skip",
          flag: "--on-missing-pkey skip",
          hint: "give the table a primary key, publish whole rows with --full-change",
        };
      case "key-not-sent":
        return {
          goesOn: this.policy.onPluginSkip === "warn",
          flag: "--on-plugin-skip warn",
          hint: "give the table a replica identity that holds its primary key " +
            "(ALTER TABLE … REPLICA IDENTITY DEFAULT or FULL)",
        };
      case "unknown-table":
        return {
          goesOn: this.policy.onUnknownTable === "skip",
          flag: "--on-unknown-table skip",
          hint: "leave the table out with --exclude-table",
        };
      default:
        return kind satisfies never;
    }
  }
}

/** A database that keeps creating tables must not fill the memory with their names. */
const MAX_REMEMBERED = 50_000;

/** Adds a table that was warned of; at {@linkcode MAX_REMEMBERED} all are forgotten, and warned of again. */
export function rememberTable(names: Set<string>, name: string): void {
  if (names.size >= MAX_REMEMBERED) names.clear();
  names.add(name);
}

/** "update of public.orders at LSN 0/16B3748 (xid 731)". */
export function describeChange(change: Change): string {
  const lsn = formatLsn(change.lsn);
  const xid = change.transaction === undefined ? "" : ` (xid ${change.transaction.xid})`;
  switch (change.kind) {
    case "truncate":
      return `the truncate of ${change.relations.map((r) => r.qualifiedName).join(", ")} ` +
        `at LSN ${lsn}${xid}`;
    case "message":
      return `the logical message "${change.prefix}" at LSN ${lsn}${xid}`;
    case "backfill":
      return `the end of the backfill of ${change.relation.qualifiedName} at LSN ${lsn}${xid}`;
    default:
      return `the ${change.kind} of ${change.relation.qualifiedName} at LSN ${lsn}${xid}`;
  }
}
