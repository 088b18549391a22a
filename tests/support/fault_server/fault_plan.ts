/**
 * What can happen to a put, beside nothing.
 *
 * - `throttle`, `error`: refused, nothing stored
 * - `partial`: some of a PutRecords request is refused
 * - `cut-before`, `cut-after`: the connection breaks before or after the record is stored
 * - `error-after`: stored, but answered with an internal failure
 * - `slow-before`, `slow-after`: a pause of `slowMs` before or after it is stored
 * - `split`, `merge`, `rescale`: the shards change just before it is stored
 */
export const FAULTS = [
  "throttle",
  "error",
  "partial",
  "cut-before",
  "cut-after",
  "error-after",
  "slow-before",
  "slow-after",
  "split",
  "merge",
  "rescale",
] as const;
export type Fault = typeof FAULTS[number];

export interface FaultPlanSettings {
  /** Chance of each fault, for each put. */
  readonly chances: Partial<Record<Fault, number>>;
  /** Faults at given puts, counted from 1. */
  readonly script: ReadonlyMap<number, Fault>;
  readonly slowMs: number;
  /** Numbers in [0, 1). */
  readonly random: () => number;
}

/** Decides, put by put, what goes wrong, and counts it. */
export class FaultPlan {
  puts = 0;
  readonly injected: Partial<Record<Fault, number>> = {};
  settings: FaultPlanSettings;

  constructor(settings: Partial<FaultPlanSettings> = {}) {
    this.settings = {
      chances: {},
      script: new Map(),
      slowMs: 1_000,
      random: Math.random,
      ...settings,
    };
  }

  get total(): number {
    return Object.values(this.injected).reduce((sum, count) => sum + count, 0);
  }

  /** The next put's fault. */
  next(): Fault | undefined {
    this.puts++;
    const fault = this.settings.script.get(this.puts) ?? this.#draw();
    if (fault !== undefined) this.injected[fault] = (this.injected[fault] ?? 0) + 1;
    return fault;
  }

  /** A put that is throttled whatever the plan says. */
  refuseStuck(): void {
    this.puts++;
    this.injected.throttle = (this.injected.throttle ?? 0) + 1;
  }

  #draw(): Fault | undefined {
    let drawn = this.settings.random();
    for (const fault of FAULTS) {
      drawn -= this.settings.chances[fault] ?? 0;
      if (drawn < 0) return fault;
    }
    return undefined;
  }
}

/** Reads `throttle=0.05,cut-after=0.01`. */
export function parseChances(text: string): Partial<Record<Fault, number>> {
  return Object.fromEntries(
    parsePairs(text).map(([fault, chance]) => [readFault(fault), Number(chance)]),
  );
}

/** Reads `12=split,40=merge`. */
export function parseScript(text: string): Map<number, Fault> {
  return new Map(parsePairs(text).map(([put, fault]) => [Number(put), readFault(fault)]));
}

function parsePairs(text: string): [string, string][] {
  return text.split(",").filter((pair) => pair !== "").map((pair) =>
    pair.split("=") as [string, string]
  );
}

function readFault(text: string): Fault {
  const fault = FAULTS.find((fault) => fault === text);
  if (fault === undefined) throw new Error(`no fault "${text}", there are: ${FAULTS.join(", ")}`);
  return fault;
}
