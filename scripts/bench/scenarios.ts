import type { OutputPlugin } from "../../src/options.ts";
import type { Contender } from "./drain.ts";
import { THIS_VERSION, type Version } from "./versions.ts";

/** What a measure should not pass, on the machine that the project was planned on. */
export interface Target {
  readonly measure: "wall" | "cpu";
  readonly atMost: number;
  /** The contender of the same group that counts as 1. */
  readonly of: string;
}

export interface Entry {
  readonly contender: Contender;
  readonly targets: readonly Target[];
}

/** Contenders that drain the same backlog in turns. */
export interface DrainGroup {
  readonly name: string;
  readonly plugin: OutputPlugin;
  readonly backlog: "small transactions" | "one transaction";
  readonly entries: readonly Entry[];
}

export const PEAK_MEBIBYTES_TARGET = 180;

const BASE = "pg_recvlogical";
const KEY = ["-f", "CSVPayload"];
const FULL = ["-f", "CSVPayload", "--full-change"];
const JSON_FORMAT = ["-f", "JSON"];

const baseline: Entry = {
  contender: { kind: "pg_recvlogical", name: BASE, tls: false },
  targets: [],
};
/** Shows what encryption costs the server, whoever reads. */
const baselineTls: Entry = {
  contender: { kind: "pg_recvlogical", name: `${BASE}, TLS`, tls: true },
  targets: [],
};

function program(
  name: string,
  args: readonly string[],
  targets: readonly Target[] = [],
  { tls = false, shards = 1 } = {},
): Entry {
  return {
    contender: { kind: "pg2kinesis", name, args, tls, shards, version: THIS_VERSION },
    targets,
  };
}

function against(of: string, wall: number, cpu?: number): Target[] {
  return [
    { measure: "wall", atMost: wall, of },
    ...cpu === undefined ? [] : [{ measure: "cpu", atMost: cpu, of } as const],
  ];
}

export const DRAIN_GROUPS: readonly DrainGroup[] = [
  {
    name: "test_decoding",
    plugin: "test_decoding",
    backlog: "small transactions",
    entries: [
      baseline,
      baselineTls,
      program("key", KEY, against(BASE, 0.75, 1.4)),
      program("key, 16 shards", KEY, against("key", 1.15), { shards: 16 }),
      program("key, TLS", KEY, against("key", 1.2), { tls: true }),
      program("full change", FULL),
      program("JSON", JSON_FORMAT),
    ],
  },
  {
    name: "wal2json",
    plugin: "wal2json",
    backlog: "small transactions",
    entries: [
      baseline,
      baselineTls,
      program("full change", FULL, against(BASE, 0.85, 2.2)),
      program("full change, 16 shards", FULL, against("full change", 1.15), { shards: 16 }),
      program("full change, TLS", FULL, against("full change", 1.2), { tls: true }),
      program("key", KEY),
    ],
  },
  {
    name: "pgoutput",
    plugin: "pgoutput",
    backlog: "small transactions",
    entries: [
      baseline,
      baselineTls,
      program("JSON", JSON_FORMAT, against(BASE, 0.85, 2.2)),
      program("JSON, 16 shards", JSON_FORMAT, against("JSON", 1.15), { shards: 16 }),
      program("JSON, TLS", JSON_FORMAT, against("JSON", 1.2), { tls: true }),
      program("JSON, CBOR wire", [...JSON_FORMAT, "--kinesis-wire", "cbor"]),
      program("debezium", ["-f", "debezium"]),
      program("dms", ["-f", "dms"]),
      program("key", KEY),
    ],
  },
  {
    name: "one transaction, test_decoding",
    plugin: "test_decoding",
    backlog: "one transaction",
    entries: [baseline, program("key", KEY, against(BASE, 0.75, 1.4))],
  },
  {
    name: "one transaction, wal2json",
    plugin: "wal2json",
    backlog: "one transaction",
    entries: [baseline, program("full change", FULL, against(BASE, 0.85, 2.2))],
  },
  {
    name: "one transaction, pgoutput",
    plugin: "pgoutput",
    backlog: "one transaction",
    entries: [baseline, program("JSON", JSON_FORMAT, against(BASE, 0.85, 2.2))],
  },
];

/** What runs under the steady load, and starts in the measure of the start. */
export const LIVE_PROGRAMS: readonly {
  readonly name: string;
  readonly plugin: OutputPlugin;
  readonly args: readonly string[];
}[] = [
  { name: "test_decoding, key", plugin: "test_decoding", args: KEY },
  { name: "wal2json, full change", plugin: "wal2json", args: FULL },
  { name: "pgoutput, JSON", plugin: "pgoutput", args: JSON_FORMAT },
];

export const STEADY_TARGETS = { p50Ms: 2, p99Ms: 10 };
/** Of the executable. */
export const START_TARGET_MS = 300;

/** The group with each of the program's entries in the other versions too, beside its own. */
export function withVersions(group: DrainGroup, others: readonly Version[]): DrainGroup {
  const entries = group.entries.flatMap((entry): Entry[] => {
    const { contender } = entry;
    if (contender.kind !== "pg2kinesis") return [entry];
    const older = others.map((version): Entry => ({
      contender: { ...contender, version, name: `${contender.name}, ${version.name}` },
      targets: [],
    }));
    return [entry, ...older];
  });
  return { ...group, entries };
}
