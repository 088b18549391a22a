import { assertEquals, assertMatch } from "@std/assert";
import { parseCommandLine } from "../../src/cli/parse.ts";
import type { PlanOptions } from "../../src/plan/plan_options.ts";
import { hostWith, usageError } from "../support/command_line.ts";

const SHOP = { USER: "me", PGDATABASE: "shop" };

function parsePlan(args: readonly string[], env: Record<string, string> = SHOP): PlanOptions {
  const command = parseCommandLine(["plan", ...args], env, hostWith());
  if (command.kind !== "plan") throw new Error(`is ${command.kind}`);
  return command.options;
}

Deno.test("plan repeats what was typed for a run, and nothing that it answers itself", () => {
  const { run, parts, split, ownStreams, repeated, ofFirst } = parsePlan([
    ...["-d", "shop", "-s", "shop", "-k", "changes", "--parts", "4", "-f", "JSON", "--create-slot"],
    ...["--create-publication", "--partition-root", "--table-pat=-x", "--standby", "--no-backfill"],
    ...["--message-prefix", "app.*", "--operations", "insert", "--operations", "delete"],
  ]);
  assertEquals([parts, split, ownStreams], [4, "rows", false]);
  assertEquals([run.slot.name, run.slot.plugin, run.slot.partitionRoot], [
    "shop",
    "pgoutput",
    true,
  ]);
  assertEquals(repeated.toSorted(), [
    ...["--message-formatter", "--operations", "--operations", "--pg-dbname", "--standby"],
    ...["--table-pat=-x", "JSON", "delete", "insert", "shop"],
  ]);
  assertEquals(ofFirst, ["--message-prefix", "app.*"]);
});

Deno.test("plan turns off what the environment would have every part make", () => {
  const { repeated } = parsePlan(["--parts", "2"], {
    ...SHOP,
    PG2KINESIS_CREATE_PUBLICATION: "true",
    PG2KINESIS_CREATE_SLOT: "true",
    PG2KINESIS_PARTS: "7",
  });
  assertEquals(repeated, ["--no-create-publication"]);
});

Deno.test("plan refuses what several runs cannot keep", () => {
  const rows: readonly (readonly [args: readonly string[], message: RegExp])[] = [
    [[], /^pg2kinesis plan needs --parts N/],
    [["--parts", "1"], /^--parts: "1" is not a whole number from 2 to 64/],
    [["--parts", "2", "--split", "hash"], /^--split: "hash" is not one of rows, tables/],
    [["--parts", "2", "--pg-slot-output-plugin", "wal2json"], /wal2json has no publications/],
    [["--parts", "2", "--pg-publication", "p"], /^--pg-publication does not go with plan/],
    [["--parts", "2", "--recreate-slot"], /^--recreate-slot does not go with plan/],
    [
      ["--parts", "2", "--partition-key", "table"],
      /^--partition-key table .*; --split tables can$/,
    ],
    [
      ["--parts", "2", "--split", "tables", "--partition-key", "xid"],
      /^--partition-key xid .* keep$/,
    ],
    [
      ["--parts", "2", "-f", "JSON", "--transaction-records"],
      /^--transaction-records needs --own-str/,
    ],
    [["--parts", "2", "--pg-url", "postgres://me:pw@h/d"], /^--pg-url has a password/],
    [["--parts", "64", "-s", "s".repeat(61)], /would be longer than the 63 bytes/],
  ];
  for (const [args, message] of rows) assertMatch(usageError(["plan", ...args]), message);
  parsePlan(["--parts", "2", "--split", "tables", "--partition-key", "table"]);
  parsePlan(["--parts", "2", "-f", "JSON", "--transaction-records", "--own-streams"]);
});
