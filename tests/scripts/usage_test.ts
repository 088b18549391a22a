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

Deno.test("scripts/build.ts --help prints its usage", async () => {
  const { code, stdout, stderr } = await run("scripts/build.ts", ["--help"]);
  assertEquals([code, stdout.split("\n", 1)[0], stderr], [
    0,
    "usage: deno task build [--all | --target TARGET ...]",
    "",
  ]);
});
