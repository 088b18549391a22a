import { assertEquals } from "@std/assert";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** Runs a script of the repository that is to end before it begins. */
async function run(script: string, args: readonly string[]) {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "--quiet", script, ...args],
    cwd: ROOT,
    env: { NO_COLOR: "1" },
  }).output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

const WRONG: readonly (readonly [script: string, args: string[], says: string])[] = [
  ["bench/main.ts", ["--bogus"], "Unknown option '--bogus'; see deno task bench --help"],
  ["bench/main.ts", ["--runs", "x"], "--runs x is no count; see deno task bench --help"],
  ["campaign/main.ts", ["--bogus"], "Unknown option '--bogus'; see deno task campaign --help"],
  [
    "campaign/main.ts",
    ["--proofs", "("],
    "Invalid regular expression: /(/: Unterminated group; see deno task campaign --help",
  ],
  [
    "backfill_campaign.ts",
    ["--bogus"],
    "Unknown option '--bogus'; see deno task backfill:campaign --help",
  ],
  [
    "backfill_campaign.ts",
    ["--plugin", "x"],
    "--plugin x is not one of test_decoding, wal2json, pgoutput; see deno task backfill:campaign --help",
  ],
  [
    "backfill_bench.ts",
    ["--rows", ""],
    "--rows  is no count; see deno task backfill:bench --help",
  ],
  ["bench/parts.ts", ["0"], "--parts 0 is no count; see deno task bench:parts --help"],
  [
    "build.ts",
    ["--target", "x"],
    "--target x is none of x86_64-unknown-linux-gnu, aarch64-unknown-linux-gnu, " +
    "x86_64-apple-darwin, aarch64-apple-darwin, x86_64-pc-windows-msvc; see deno task build --help",
  ],
  ["build.ts", ["--target"], "--target needs a value; see deno task build --help"],
  ["build.ts", ["--bogus"], "Unknown argument --bogus; see deno task build --help"],
];

for (const [script, args, says] of WRONG) {
  Deno.test(`scripts/${script} ${args.join(" ")} is told in one line, with exit code 2`, async () => {
    assertEquals(await run(`scripts/${script}`, args), {
      code: 2,
      stdout: "",
      stderr: `${says}\n`,
    });
  });
}

const HELPS: readonly (readonly [script: string, begins: string])[] = [
  ["build.ts", "usage: deno task build [--all | --target TARGET ...]"],
  [
    "bench/main.ts",
    "Measures pg2kinesis end to end beside pg_recvlogical, on a server of its own.",
  ],
  ["bench/parts.ts", "usage: deno task bench:parts [PARTS [TRANSACTIONS [ROUNDS]]]"],
  ["backfill_bench.ts", "Measures a backfill beside live changes, on a server of its own."],
  [
    "backfill_campaign.ts",
    "Reads tables while they are written to at random, with the program killed, frozen and taken over",
  ],
];

for (const [script, begins] of HELPS) {
  Deno.test(`scripts/${script} --help prints its usage`, async () => {
    const { code, stdout, stderr } = await run(`scripts/${script}`, ["--help"]);
    assertEquals([code, stdout.split("\n", 1)[0], stderr], [0, begins, ""]);
  });
}
