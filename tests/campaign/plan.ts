import type { OutputPlugin } from "../../src/options.ts";
import { type Fault, FAULTS } from "../support/fault_server/fault_plan.ts";
import { randomFrom } from "../support/random.ts";
import type { StopMode } from "../support/test_postgres.ts";

/** What ends a stretch of the program's run. */
export type Blow =
  /** SIGKILL this long after the program was started, or after it followed the slot. */
  | { readonly kind: "kill"; readonly after: "start" | "following"; readonly ms: number }
  /** The server is stopped and started again this long after the program followed the slot. */
  | { readonly kind: "restart"; readonly mode: StopMode | "kill9"; readonly ms: number };

/** Beside inserts, updates and deletes: TRUNCATE, columns that come and go, two-phase commit. */
export const EXTRAS = ["truncate", "ddl", "two-phase"] as const;
export type Extra = typeof EXTRAS[number];

/** All that happens in one scenario, decided by its seed. */
export interface Scenario {
  readonly seed: number;
  readonly plugin: OutputPlugin;
  readonly format: string;
  /** Flags of the program. */
  readonly flags: readonly string[];
  readonly aggregation: "kpl" | "none";
  readonly shards: number;
  readonly chances: Partial<Record<Fault, number>>;
  readonly slowMs: number;
  readonly listingLagMs: number;
  readonly blows: readonly Blow[];
  /** Shards are split, merged and rescaled about so often a second, beside those of the puts' faults. */
  readonly reshardsPerSecond: number;
  /** All puts into a part of the hash space are throttled for seconds, again and again. */
  readonly hasStuckLane: boolean;
  /** What the writers do beside changing rows. */
  readonly extras: readonly Extra[];
  readonly writers: number;
  /** Each writer has so many rows of its own. */
  readonly rowsPerWriter: number;
  /** Most pause of a writer between its transactions. */
  readonly writerPauseMs: number;
  /** How long the writers go on after the last blow. */
  readonly tailMs: number;
}

/** Faults after which nothing is stored that was not acknowledged, so nothing comes again. */
const HARMLESS: readonly Fault[] = [
  "throttle",
  "error",
  "partial",
  "cut-before",
  "slow-before",
  "slow-after",
];
const RESHARDS: readonly Fault[] = ["split", "merge", "rescale"];

const FORMATS: Readonly<Record<string, readonly string[]>> = {
  CSV: ["-f", "CSV"],
  CSVPayload: ["-f", "CSVPayload"],
  full: ["-f", "CSVPayload", "--full-change"],
  JSON: ["-f", "JSON"],
};

/**
 * Draws a scenario. One in eight meets no trouble at all, one in eight only faults that must not cost a
 * duplicate, the others anything.
 */
export function drawScenario(seed: number, plugins: readonly OutputPlugin[]): Scenario {
  const random = randomFrom(seed);
  const below = (limit: number) => Math.floor(random() * limit);
  const chance = (probability: number) => random() < probability;
  const pick = <T>(from: readonly T[]): T => from[below(from.length)]!;

  const trouble = pick(["none", "harmless", "any", "any", "any", "any", "any", "any"] as const);
  const aggregation = chance(0.6) ? "kpl" : "none";
  const format = pick(Object.keys(FORMATS));
  // From one put in seven to one in two; the others have to get through.
  const weights = (trouble === "any" ? FAULTS : HARMLESS)
    .filter((fault) => !RESHARDS.includes(fault) && chance(0.7)).map((fault) => [fault, random()]);
  const scale = (0.15 + random() * 0.35) /
    weights.reduce((sum, [, weight]) => sum + Number(weight), 0);
  const chances: Partial<Record<Fault, number>> = trouble === "none"
    ? {}
    : Object.fromEntries(weights.map(([fault, weight]) => [fault, round(Number(weight) * scale)]));
  const mayReshard = trouble === "any" && chance(0.6);
  if (mayReshard) { for (const fault of RESHARDS) chances[fault] = round(random() * 0.01); }
  const blows = trouble === "any" ? drawBlows(6 + below(10), random) : [];
  return {
    seed,
    plugin: pick(plugins),
    format,
    flags: [
      ...FORMATS[format]!,
      ...["--aggregation", aggregation],
      ...chance(0.15) ? ["--partition-key", "table"] : [],
      ...chance(0.2) ? ["--linger", `${5 + below(40)}ms`] : [],
      ...chance(0.3) ? ["--kinesis-wire", "cbor"] : [],
    ],
    aggregation,
    shards: 1 + below(8),
    chances,
    slowMs: 50 + below(400),
    listingLagMs: chance(0.3) ? below(1_500) : 0,
    blows,
    reshardsPerSecond: mayReshard ? random() * 2 : 0,
    writers: 1 + below(4),
    rowsPerWriter: 1 + below(40),
    writerPauseMs: pick([10, 30, 60]),
    tailMs: 3_000,
    // Drawn last, so that a seed of before gives what it gave.
    hasStuckLane: trouble === "any" && chance(0.3),
    extras: EXTRAS.filter(() => chance(0.4)),
  };
}

function drawBlows(count: number, random: () => number): Blow[] {
  const pickMode = () =>
    (["fast", "fast", "immediate", "kill9"] as const)[Math.floor(random() * 4)]!;
  return Array.from({ length: count }, (): Blow => {
    if (random() < 0.12) return { kind: "restart", mode: pickMode(), ms: random() * 500 };
    // Some fall into the start, most at any moment between two status updates, a few later.
    return random() < 0.15
      ? { kind: "kill", after: "start", ms: random() * 600 }
      : { kind: "kill", after: "following", ms: random() ** 2 * 1_200 };
  });
}

/** Whether anything happens in it after which a stored record may come again. */
export function mayDuplicate({ chances, blows, reshardsPerSecond }: Scenario): boolean {
  const isHarmless = Object.keys(chances).every((fault) => HARMLESS.includes(fault as Fault));
  return blows.length > 0 || reshardsPerSecond > 0 || !isHarmless;
}

function round(value: number): number {
  return Math.round(value * 10_000) / 10_000;
}
