import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import { UsageError } from "../../src/base/errors.ts";
import { type Command, parseCommandLine } from "../../src/cli/parse.ts";
import type { TailOptions } from "../../src/tail/tail_options.ts";
import { type Env, hostWith } from "../support/command_line.ts";

function parseTail(args: readonly string[], env: Env = {}): TailOptions {
  const command: Command = parseCommandLine(["tail", ...args], env, hostWith());
  if (command.kind !== "tail") throw new Error(`is ${command.kind}`);
  return command.options;
}

function usageError(args: readonly string[], env: Env = {}): string {
  return assertThrows(() => parseCommandLine(args, env, hostWith()), UsageError).message;
}

Deno.test("tail needs nothing, and has every setting of its own on the command line and in the environment", () => {
  const unset: TailOptions = {
    streams: ["pg2kinesis"],
    from: { kind: "oldest" },
    last: undefined,
    follow: false,
    shardId: undefined,
    json: false,
    verify: false,
    expectAll: false,
    log: { format: "text", level: "info" },
  };
  assertEquals(parseTail([]), unset);
  const rows: readonly (readonly [string[], Env, Partial<TailOptions>])[] = [
    [["-k", "s"], { PG2KINESIS_STREAM_NAME: "s" }, { streams: ["s"] }],
    [["-k", "a", "-k", "b", "-k", "a"], { PG2KINESIS_STREAM_NAME: "a, b" }, {
      streams: ["a", "b"],
    }],
    [["--follow"], { PG2KINESIS_FOLLOW: "true" }, { follow: true }],
    [["-f"], { PG2KINESIS_FOLLOW: "true" }, { follow: true }],
    [["--shard", "shardId-000000000007"], { PG2KINESIS_SHARD: "7" }, {
      shardId: "shardId-000000000007",
    }],
    [["--shard", "somebody's"], { PG2KINESIS_SHARD: "somebody's" }, { shardId: "somebody's" }],
    [["--since", "1h30m"], { PG2KINESIS_SINCE: "90m" }, { from: { kind: "ago", ms: 5_400_000 } }],
    [["-n", "20"], { PG2KINESIS_LINES: "20" }, { last: { records: 20, isStartGiven: false } }],
    [["--lines=5", "--since=1m"], { PG2KINESIS_LINES: "5", PG2KINESIS_SINCE: "1m" }, {
      from: { kind: "ago", ms: 60_000 },
      last: { records: 5, isStartGiven: true },
    }],
    [["--json"], { PG2KINESIS_JSON: "1" }, { json: true }],
    [["--verify"], { PG2KINESIS_VERIFY: "yes" }, { verify: true }],
    [["--verify", "--expect-all"], { PG2KINESIS_VERIFY: "1", PG2KINESIS_EXPECT_ALL: "1" }, {
      verify: true,
      expectAll: true,
    }],
    [["--from", "oldest"], { PG2KINESIS_FROM: "oldest" }, {}],
    [["--from=latest", "--follow"], { PG2KINESIS_FROM: "latest", PG2KINESIS_FOLLOW: "1" }, {
      from: { kind: "latest" },
      follow: true,
    }],
    [["--log-level", "debug"], { PG2KINESIS_LOG_LEVEL: "debug" }, {
      log: { format: "text", level: "debug" },
    }],
  ];
  for (const [args, env, changes] of rows) {
    assertEquals(parseTail(args), { ...unset, ...changes }, args.join(" "));
    assertEquals(parseTail([], env), { ...unset, ...changes }, JSON.stringify(env));
  }
});

Deno.test("-f is --follow of tail, and --message-formatter of a run, wherever the command stands", () => {
  assertEquals(parseTail(["-k", "s", "-f"]).follow, true);
  for (const args of [["-f", "JSON"], ["-f", "JSON", "run"], ["check", "-f", "JSON"]]) {
    const command = parseCommandLine(["-d", "d", "-u", "u", ...args], {}, hostWith());
    if (command.kind === "run" || command.kind === "check") {
      assertEquals(command.options.format.formatter, "JSON");
    } else throw new Error(`is ${command.kind}`);
  }
  assertMatch(usageError(["tail", "-f", "JSON"]), /unexpected argument "JSON"/);
});

Deno.test("tail --from takes times that name their zone", () => {
  const at = (text: string) => parseTail(["--from", text]).from;
  const time = (iso: string) => ({ kind: "time", atMs: Date.parse(iso) });
  assertEquals(at("2026-11-22T08:01:02Z"), time("2026-11-22T08:01:02Z"));
  assertEquals(at("2026-11-22t08:01:02.123456z"), time("2026-11-22T08:01:02.123Z"));
  assertEquals(at("2026-11-22 09:01+01"), time("2026-11-22T08:01:00Z"));
  assertEquals(at("2026-11-22T03:01:02-0500"), time("2026-11-22T08:01:02Z"));
  assertEquals(at("2026-11-22T03:01:02-05:00"), time("2026-11-22T08:01:02Z"));
  assertEquals(at("2026-11-22"), time("2026-11-22T00:00:00Z"));
  for (const bad of ["yesterday", "2026-11-22T08:01:02", "2026-13-01", "1700000000", "08:00Z"]) {
    assertMatch(
      usageError(["tail", "--from", bad]),
      /^--from: ".*" is neither oldest nor latest, nor a time with its zone/,
    );
  }
});

Deno.test("tail says which flags do not go together", () => {
  const rows: readonly (readonly [string[], RegExp])[] = [
    [["--from", "latest"], /--from latest gives nothing without --follow/],
    [["--since", "1m", "--from", "oldest"], /--since and --from exclude each other/],
    [["-n", "3", "--verify"], /--lines cannot be combined with --verify/],
    [["-n", "3", "--from", "latest", "-f"], /--lines has no effect with --from latest/],
    [["-n", "0"], /--lines: "0" is not a whole number from 1/],
    [["--verify", "--expect-all", "--since", "1m"], /--expect-all cannot be combined with --since/],
    [["--expect-all"], /--expect-all has no effect without --verify/],
    [["--verify", "--expect-all", "--follow"], /--expect-all cannot be combined with --follow/],
    [["--verify", "--expect-all", "--shard", "s"], /--expect-all cannot be combined with --shard/],
    [
      ["--verify", "--expect-all", "--from", "2026-11-22"],
      /--expect-all cannot be combined with --from/,
    ],
    [
      ["--create-slot"],
      /--create-slot is no flag of pg2kinesis tail, but of pg2kinesis run, check and plan$/,
    ],
    [["-d", "shop"], /--pg-dbname is no flag of pg2kinesis tail/],
    // One of another command would be of no use.
    [["--count", "1"], /^there is no flag --count$/],
    [["--line", "1"], /^there is no flag --line; did you mean --lines\?$/],
    [["-n", "-1"], /^--lines: "-1" is not /],
    [["x"], /unexpected argument "x"/],
  ];
  for (const [args, message] of rows) assertMatch(usageError(["tail", ...args]), message);
  assertMatch(usageError(["--follow", "-d", "x"]), /--follow is no flag of pg2kinesis run, but of/);
});

Deno.test("tail does not look at what the environment says to a run", () => {
  parseTail([], { PG2KINESIS_PG_PORT: "not a port", PG2KINESIS_FULL_CHANGE: "1" });
  const run = parseCommandLine(["-d", "d", "-u", "u"], { PG2KINESIS_FROM: "nowhere" }, hostWith());
  assertEquals(run.kind, "run");
});

Deno.test("check takes the flags of a run and --json, and is what a run would be", () => {
  const args = ["-d", "shop", "-u", "app", "--create-slot", "-f", "JSON"];
  const run = parseCommandLine(args, {}, hostWith());
  const check = parseCommandLine(["check", ...args, "--json"], {}, hostWith());
  if (run.kind !== "run" || check.kind !== "check") throw new Error(`${run.kind} ${check.kind}`);
  assertEquals(check.options, run.options);
  assertEquals(check.json, true);
  assertMatch(usageError([...args, "--json"]), /--json is no flag of pg2kinesis run, but of/);
});

Deno.test("--help is that of the command it stands by", () => {
  for (const command of ["run", "check", "tail"] as const) {
    const parsed = parseCommandLine([command, "--help", "--nonsense"], {}, hostWith());
    assertEquals(parsed, { kind: "help", command });
  }
  assertEquals(parseCommandLine(["--help"], {}, hostWith()), { kind: "help", command: "run" });
});
