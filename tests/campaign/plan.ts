import type { OutputPlugin } from "../../src/options.ts";
import { type Fault, FAULTS } from "../support/fault_server/fault_plan.ts";
import { randomFrom } from "../support/random.ts";
import type { StopMode } from "../support/test_postgres.ts";

/** What ends a stretch of the program's run. */
export type Blow =
  /** SIGKILL this long after the program was started, or after it followed the slot. */
  | { readonly kind: "kill"; readonly after: "start" | "following"; readonly ms: number }
  /** The server is stopped and started again this long after the program followed the slot. */
  | { readonly kind: "restart"; readonly mode: StopMode | "kill9"; readonly ms: number }
  | FailoverBlow;

/**
 * The primary is killed and its standby promoted, which was stopped `lagMs` before: what was committed
 * in between is lost to the database. `isHeld`: half of the hash space refuses all puts meanwhile, so
 * that some of it is in the stream and little of it confirmed.
 */
export interface FailoverBlow {
  readonly kind: "failover";
  readonly ms: number;
  readonly lagMs: number;
  readonly isHeld: boolean;
}

/**
 * Beside inserts, updates and deletes: TRUNCATE, columns that come and go, two-phase commit, logical
 * messages in and outside of transactions, and rows that are large and many.
 */
export const EXTRAS = ["truncate", "ddl", "two-phase", "messages", "bulk"] as const;
export type Extra = typeof EXTRAS[number];

/** Prefixes of the logical messages that writers write; which are published, a scenario says. */
export const MESSAGE_PREFIXES = ["told", "quiet"] as const;

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
  /** Those of {@linkcode MESSAGE_PREFIXES} that are published. */
  readonly publishedPrefixes: readonly string[];
  /** Whether a standby follows the server, which is then one of the scenario's own. */
  readonly hasStandby: boolean;
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
/** While they last, nothing else can go wrong in their lane. */
const SLOW: readonly Fault[] = ["slow-before", "slow-after"];
const RESHARDS: readonly Fault[] = ["split", "merge", "rescale"];

const FORMATS: Readonly<Record<string, readonly string[]>> = {
  CSV: ["-f", "CSV"],
  CSVPayload: ["-f", "CSVPayload"],
  full: ["-f", "CSVPayload", "--full-change"],
  JSON: ["-f", "JSON"],
};

/** What some scenarios have beside what any may have: a failover; much written while a lane is stuck. */
export const SPECIALS = ["failover", "bulk"] as const;
export type Special = typeof SPECIALS[number];

/** Formats with a place for logical messages. */
const TAKES_MESSAGES = new Set(["JSON"]);
/** Formats that publish whole rows: large ones fill the program's buffers. */
const WHOLE_ROWS = ["full", "JSON"];

/**
 * Draws a scenario. One in eight meets no trouble at all, one in eight only faults that must not cost a
 * duplicate, the others anything: one in six of these a failover, one in thirty a lane that is
 * stuck while much is written; all of them where it is asked `only` for that.
 */
export function drawScenario(
  seed: number,
  plugins: readonly OutputPlugin[],
  only?: Special,
): Scenario {
  const random = randomFrom(seed);
  const below = (limit: number) => Math.floor(random() * limit);
  const chance = (probability: number) => random() < probability;
  const pick = <T>(from: readonly T[]): T => from[below(from.length)]!;

  const drawn = pick(["none", "harmless", "any", "any", "any", "any", "any", "any"] as const);
  const trouble = only === undefined ? drawn : "any";
  const aggregation = chance(0.6) ? "kpl" : "none";
  const special = only ?? (trouble === "any" ? drawSpecial(random()) : undefined);
  // Only with them do names tell a change from another one that a failover lost (xids come again).
  const format = special === "failover"
    ? "JSON"
    : pick(special === "bulk" ? WHOLE_ROWS : Object.keys(FORMATS));
  const plugin = special === "failover" ? "pgoutput" : pick(plugins);
  const extras = EXTRAS.filter((extra) => extra === "bulk" ? special === "bulk" : chance(0.5));
  const publishedPrefixes = TAKES_MESSAGES.has(format) && chance(0.8)
    ? MESSAGE_PREFIXES.slice(0, 1)
    : [];
  // From one put in seven to one in two; the others have to get through.
  const weights = (trouble === "any" ? FAULTS : HARMLESS)
    .filter((fault) => !RESHARDS.includes(fault) && chance(0.7))
    .map((fault) => [fault, random() * (SLOW.includes(fault) ? 0.25 : 1)]);
  const scale = (0.15 + random() * 0.35) /
    weights.reduce((sum, [, weight]) => sum + Number(weight), 0);
  const chances: Partial<Record<Fault, number>> = trouble === "none"
    ? {}
    : Object.fromEntries(weights.map(([fault, weight]) => [fault, round(Number(weight) * scale)]));
  // Without aggregation, one change a round trip is all that such a key gets.
  const isByTable = aggregation === "kpl" && chance(0.2);
  const mayReshard = trouble === "any" && chance(0.6);
  if (mayReshard) { for (const fault of RESHARDS) chances[fault] = round(random() * 0.01); }
  const blows = trouble === "any" ? drawBlows(special === "bulk" ? 3 : 12 + below(14), random) : [];
  if (special === "failover") blows.splice(below(blows.length), 0, drawFailover(random));
  return {
    seed,
    plugin,
    format,
    flags: [
      ...FORMATS[format]!,
      ...["--aggregation", aggregation],
      ...isByTable ? ["--partition-key", "table"] : [],
      ...chance(0.2) ? ["--linger", `${5 + below(40)}ms`] : [],
      ...chance(0.3) ? ["--kinesis-wire", "cbor"] : [],
      ...publishedPrefixes.flatMap((prefix) => ["--message-prefix", prefix]),
    ],
    aggregation,
    shards: 1 + below(12),
    chances,
    slowMs: 50 + below(400),
    listingLagMs: chance(0.3) ? below(1_500) : 0,
    blows,
    reshardsPerSecond: mayReshard ? random() * 2 : 0,
    writers: special === "bulk" ? 3 : 1 + below(4),
    rowsPerWriter: 1 + below(40),
    writerPauseMs: pick([10, 30, 60]),
    tailMs: special === "bulk" ? 20_000 : 5_000,
    hasStuckLane: special === "bulk" || trouble === "any" && chance(0.3),
    extras,
    publishedPrefixes,
    hasStandby: special === "failover",
  };
}

function drawSpecial(drawn: number): Special | undefined {
  return drawn < 1 / 6 ? "failover" : drawn < 1 / 5 ? "bulk" : undefined;
}

function drawFailover(random: () => number): FailoverBlow {
  return {
    kind: "failover",
    ms: random() * 1_000,
    lagMs: random() < 0.25 ? 0 : random() * 1_500,
    isHeld: random() < 0.6,
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
      : { kind: "kill", after: "following", ms: random() ** 2 * 2_000 };
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
