import type { Remedy } from "../base/problem.ts";

/**
 * `ok`: fine. `warn`: no hindrance now, but worth knowing. `stop`: it would stop a run, or makes the
 * application's own statements fail.
 */
export type Verdict = "ok" | "warn" | "stop";

/** What one check found. */
export interface Finding {
  /** A name for machines, such as `wal_level`; a check has one finding or several. */
  readonly check: string;
  readonly verdict: Verdict;
  /** One line, without an end. */
  readonly found: string;
  readonly remedy: Remedy | undefined;
}

/** Collects findings in their order. */
export class Findings {
  readonly all: Finding[] = [];

  /** A remedy here is for somebody who wants more than the run needs. */
  ok(check: string, found: string, remedy?: Remedy): void {
    this.all.push({ check, verdict: "ok", found, remedy });
  }

  warn(check: string, found: string, remedy?: Remedy): void {
    this.all.push({ check, verdict: "warn", found, remedy });
  }

  stop(check: string, found: string, remedy?: Remedy): void {
    this.all.push({ check, verdict: "stop", found, remedy });
  }

  get wouldStop(): boolean {
    return this.all.some(({ verdict }) => verdict === "stop");
  }
}
