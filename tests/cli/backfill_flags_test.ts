import { assertEquals, assertMatch } from "@std/assert";
import type { AskOptions } from "../../src/backfill/ask/ask_options.ts";
import { parseCommandLine } from "../../src/cli/parse.ts";
import { hostWith, usageError } from "../support/command_line.ts";

function parseBackfill(
  args: readonly string[],
  env: Record<string, string> = { USER: "me", PGDATABASE: "shop" },
): AskOptions {
  const command = parseCommandLine(["backfill", ...args], env, hostWith());
  if (command.kind !== "backfill") throw new Error(`is ${command.kind}`);
  return command.options;
}

Deno.test("backfill asks for tables, ends them, or tells how they go", () => {
  const { action, slot, publications, postgres } = parseBackfill([
    ...["-d", "shop", "--table", "public.orders", "--table", "*.log_?", "--wait", "-s", "sales"],
  ]);
  assertEquals(action, { kind: "request", tables: ["public.orders", "*.log_?"], wait: true });
  assertEquals([slot, publications, postgres.database], ["sales", ["sales"], "shop"]);
  assertEquals(parseBackfill(["--stop"]).action, { kind: "stop", tables: "all" });
  assertEquals(parseBackfill(["--stop", "--table", "a.b"]).action, {
    kind: "stop",
    tables: ["a.b"],
  });
  assertEquals(parseBackfill(["--status", "--json"]).action, { kind: "status", json: true });
  assertEquals(parseBackfill(["--status"]).action, { kind: "status", json: false });
});

Deno.test("backfill takes the connection and the slot of a run's environment, and nothing that acts", () => {
  const { slot, publications, postgres, action } = parseBackfill(["--table", "a.b"], {
    PG2KINESIS_PG_SLOT_NAME: "sales",
    PG2KINESIS_PG_PUBLICATION: "one,two",
    PG2KINESIS_PG_URL: "postgresql://me@db:5433/shop",
    PG2KINESIS_STOP: "true",
    PG2KINESIS_WAIT: "true",
    PG2KINESIS_TABLE: "c.d",
  });
  assertEquals([slot, publications, postgres.user], ["sales", ["one", "two"], "me"]);
  assertEquals(action, { kind: "request", tables: ["a.b"], wait: false });
});

Deno.test("backfill says which flags do not go together", () => {
  const rows: readonly (readonly [args: readonly string[], message: RegExp])[] = [
    [[], /^pg2kinesis backfill needs --table GLOB, such as .*, or --status, or --stop$/],
    [["--wait"], /needs --table GLOB/],
    [["--status", "--stop"], /^--status and --stop exclude each other$/],
    [["--status", "--wait"], /^--wait does not go with --status/],
    [["--stop", "--wait"], /^--wait does not go with --stop/],
    [["--status", "--table", "a.b"], /^--table has no effect with --status/],
    [["--stop", "--json"], /^--json has no effect without --status$/],
    [["--table", "orders"], /^--table: "orders" can match no schema\.table; write public\.orders/],
    [["--table", "a.b", "--create-slot"], /^--create-slot is no flag of pg2kinesis backfill/],
    [["--table", "a.b", "-k", "x"], /^--stream-name is no flag of pg2kinesis backfill/],
    [["public.orders"], /^unexpected argument "public\.orders"/],
    [Array.from({ length: 1001 }, () => ["--table", "a.b"]).flat(), /may be given 1000 times/],
  ];
  for (const [args, message] of rows) assertMatch(usageError(["backfill", ...args]), message);
});
