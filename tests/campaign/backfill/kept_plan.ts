import type { OutputPlugin } from "../../../src/options.ts";
import type { Fault } from "../../support/fault_server/fault_plan.ts";
import { randomFrom } from "../../support/random.ts";
import { KEPT_TABLES, type KeptTable } from "./kept_tables.ts";

/** When a run is killed. */
export const MOMENTS = [
  /** Some time after its start. */
  "start",
  /** Some time after it follows the slot. */
  "following",
  /** As a put comes with rows that were read: it is stored, but the run does not hear of it. */
  "read put",
  /** As one of the next puts comes. */
  "put",
  /** As the confirmed LSN moves. */
  "confirmed",
  /** A little after the reader got a lock that it waited for. */
  "lock",
  /** While the walsender is frozen: a read goes on, and its mark does not come back. */
  "mark under way",
  /** While the reader's backend is frozen: changes go on, and rows are on their way. */
  "reader frozen",
] as const;
export type Moment = typeof MOMENTS[number];

export type KeptBlow =
  | { readonly kind: "kill"; readonly moment: Moment; readonly ms: number }
  /** The run is frozen until the other host has taken over, wakes, and one of the two is killed. */
  | { readonly kind: "freeze"; readonly ms: number }
  | { readonly kind: "restart"; readonly mode: "fast" | "immediate"; readonly ms: number };

/** All that happens in one trial, decided by its seed as far as a machine's pace lets it. */
export interface KeptPlan {
  readonly seed: number;
  readonly plugin: OutputPlugin;
  readonly tables: readonly KeptTable[];
  readonly isViaRoot: boolean;
  readonly rows: number;
  /** `--backfill-rate`. */
  readonly rate: number | undefined;
  readonly flags: readonly string[];
  readonly shards: number;
  readonly chances: Partial<Record<Fault, number>>;
  readonly reshardsPerSecond: number;
  /** A part of the hash space refuses everything now and then. */
  readonly sticks: boolean;
  /** Two hosts with `--standby`. */
  readonly isPair: boolean;
  /** The slot is created by the program, with `--create-slot --backfill`. */
  readonly startsWithSlot: boolean;
  readonly blows: readonly KeptBlow[];
  readonly writers: number;
  /** Rows of one statement of the writer of many rows, and the pause between two. */
  readonly bulkRows: number;
  readonly bulkPauseMs: number;
  readonly truncates: boolean;
  /** Further requests and stops while the first is read. */
  readonly asks: boolean;
}

export interface PlanLimits {
  readonly blows?: number;
}

export function drawKeptPlan(
  seed: number,
  plugin: OutputPlugin,
  version: number,
  { blows: blowCount }: PlanLimits = {},
): KeptPlan {
  const random = randomFrom(seed);
  const below = (limit: number) => Math.floor(random() * limit);
  const chance = (probability: number) => random() < probability;
  const pick = <T>(from: readonly T[]): T => from[below(from.length)]!;

  const possible = KEPT_TABLES.filter(({ onlyPgoutput }) =>
    !onlyPgoutput || plugin === "pgoutput" && version >= 150000
  );
  const tables = possible.map((table) => ({ table, order: random() }))
    .sort((left, right) => left.order - right.order)
    .slice(0, pick([1, 1, 2, 3, 4])).map(({ table }) => table);
  // Beyond 5,000 rows a table is read by itself.
  const rows = tables.length === 1 ? pick([200, 500, 2_000, 7_000]) : pick([100, 300, 800]);
  const isPair = chance(0.6);
  const hasFaults = chance(0.5);
  const mayReshard = chance(0.4);
  const chances: Partial<Record<Fault, number>> = !hasFaults ? {} : {
    throttle: random() * 0.1,
    error: random() * 0.03,
    partial: random() * 0.05,
    "cut-before": random() * 0.02,
    "cut-after": random() * 0.03,
    "error-after": random() * 0.03,
    "slow-before": random() * 0.05,
    "slow-after": random() * 0.05,
  };
  const count = blowCount ?? 14 + below(11);
  const blows = Array.from({ length: count }, (): KeptBlow => {
    const drawn = random();
    if (drawn < 0.06) {
      return { kind: "restart", mode: pick(["fast", "immediate"]), ms: random() * 700 };
    }
    if (isPair && drawn < 0.2) return { kind: "freeze", ms: random() * 1_200 };
    return { kind: "kill", moment: pick(MOMENTS), ms: random() ** 2 * 800 };
  });
  return {
    ...{ seed, plugin, tables, rows, isPair, chances, blows },
    isViaRoot: plugin === "pgoutput" && chance(0.5),
    // From two to seven seconds of reading.
    rate: chance(0.12) ? undefined : Math.ceil(rows * tables.length / (2 + random() * 5)),
    flags: [
      ...["-f", "JSON"],
      ...chance(0.15) ? ["--aggregation", "none"] : [],
      ...chance(0.2) ? ["--linger", `${5 + below(40)}ms`] : [],
      ...chance(0.3) ? ["--kinesis-wire", "cbor"] : [],
    ],
    shards: 1 + below(4),
    reshardsPerSecond: mayReshard ? 0.1 + random() * 0.5 : 0,
    sticks: hasFaults && chance(0.4),
    startsWithSlot: chance(0.3),
    writers: 6,
    bulkRows: pick([200, 500, 1_000]),
    bulkPauseMs: pick([150, 300]),
    truncates: chance(0.25),
    asks: chance(0.4),
  };
}
