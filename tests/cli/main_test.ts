import { assert, assertEquals, assertMatch } from "@std/assert";
import { fileURLToPath } from "node:url";
import { renderHelp } from "../../src/cli/help.ts";
import { versionLine } from "../../src/base/version.ts";

const pathOf = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const PROGRAM = pathOf("../../main.ts");
const FIXTURE = pathOf("main_fixture.ts");

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a file with Deno in an environment that has nothing but what is given. */
async function runFile(
  file: string,
  args: string[],
  env: Record<string, string> = {},
): Promise<Ended> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", file, ...args],
    env: { ...essentials(), ...env },
    clearEnv: true,
  }).output();
  const text = new TextDecoder();
  return { code, stdout: text.decode(stdout), stderr: text.decode(stderr) };
}

function essentials(): Record<string, string> {
  const home = Deno.env.get("HOME") ?? "/";
  return {
    DENO_DIR: Deno.env.get("DENO_DIR") ?? `${home}/.cache/deno`,
    DENO_TLS_CA_STORE: Deno.env.get("DENO_TLS_CA_STORE") ?? "system,mozilla",
    PATH: Deno.env.get("PATH") ?? "",
    NO_COLOR: "1",
  };
}

/** Ends a run as `main_fixture.ts` knows them. */
const end = (ending: string, args: string[] = [], env: Record<string, string> = {}) =>
  runFile(FIXTURE, ["-d", "d", "-u", "u", ...args], { ENDING: ending, ...env });

const lines = (text: string) => text === "" ? [] : text.replace(/\n$/, "").split("\n");

Deno.test("main prints help and version on stdout and exits 0", async () => {
  assertEquals(await runFile(PROGRAM, ["--help"]), { code: 0, stdout: renderHelp(), stderr: "" });
  assertEquals(await runFile(PROGRAM, ["--version"]), {
    code: 0,
    stdout: versionLine() + "\n",
    stderr: "",
  });
});

Deno.test("main says what is wrong with the usage in one line and exits 2", async () => {
  assertEquals(await runFile(PROGRAM, ["--tabel-pat", "x"]), {
    code: 2,
    stdout: "",
    stderr:
      "pg2kinesis: there is no flag --tabel-pat; did you mean --table-pat? (see pg2kinesis --help)\n",
  });
  assertEquals(await runFile(PROGRAM, ["--pg-sslmode", "a\nb"]), {
    code: 2,
    stdout: "",
    stderr: 'pg2kinesis: --pg-sslmode: "a\\nb" is not one of disable, allow, prefer, require, ' +
      "verify-ca, verify-full (see pg2kinesis --help)\n",
  });
  assertMatch(
    (await runFile(PROGRAM, ["tail", "--from", "x"])).stderr,
    /^pg2kinesis: --from: "x" .* \(see pg2kinesis tail --help\)\n$/,
  );
});

Deno.test("the command line is read without pg and the AWS SDK", async () => {
  const info = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", pathOf("../../src/cli/parse.ts")],
  }).output();
  const { modules } = JSON.parse(new TextDecoder().decode(info.stdout));
  const packages = modules.flatMap((each: { npmPackage?: string }) => each.npmPackage ?? []);
  assertEquals([...new Set(packages)], ["smol-toml@1.9.1"]);
});

Deno.test("main takes a broken pipe on stdout for a clean end", async () => {
  const child = new Deno.Command("sh", {
    args: [
      "-c",
      `{ "$0" run -A --quiet "$1" --help; echo "code $?" >&2; } | true`,
      Deno.execPath(),
      PROGRAM,
    ],
    env: essentials(),
    clearEnv: true,
    stdout: "null",
    stderr: "piped",
  }).spawn();
  assertEquals(new TextDecoder().decode((await child.output()).stderr), "code 0\n");
});

Deno.test("main exits 0 after a run that ends well, with the log on stderr only", async () => {
  const { code, stdout, stderr } = await end("well");
  assertEquals([code, stdout], [0, ""]);
  assertMatch(stderr, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO done\n$/);
});

Deno.test("main logs warnings about the command line first", async () => {
  const { stderr } = await end("well", [], { PG2KINESIS_STREAM_NAM: "x" });
  assertEquals(lines(stderr).length, 2);
  assertMatch(stderr, /^\S+ WARNING PG2KINESIS_STREAM_NAM is not a setting; did you mean/);
});

const ENDINGS: readonly (readonly [ending: string, code: number, message: RegExp])[] = [
  ["runError", 1, /^\S+Z ERROR cannot connect with \*\*\*$/],
  ["usageError", 2, /^\S+Z ERROR no table matches --table-pat \(see pg2kinesis --help\)$/],
  ["twoLines", 1, /^\S+Z ERROR first\\nsecond\\r\\n\\u2028third$/],
  [
    "bug",
    1,
    /^\S+Z ERROR unexpected error: TypeError: x is undefined, \*\*\*; run again with --log-level debug for the stack trace, and report it$/,
  ],
  ["braces", 1, /^\S+Z ERROR no \{table\} \{\{here\}\} \{error\}$/],
  ["string", 1, /^\S+Z ERROR unexpected error: just text; run again/],
  ["stray", 1, /^\S+Z ERROR unexpected error: TypeError: nobody waits; run again/],
  ["strayRunError", 1, /^\S+Z ERROR the lane died$/],
  ["thrown", 1, /^\S+Z ERROR unexpected error: from a timer; run again/],
];

for (const [ending, code, message] of ENDINGS) {
  Deno.test(`main ends a run in one line: ${ending}`, async () => {
    const ended = await end(ending, [], { PGPASSWORD: "hunter2" });
    assertEquals(
      [ended.code, ended.stdout, lines(ended.stderr).length],
      [code, "", 1],
      ended.stderr,
    );
    assertMatch(ended.stderr.trimEnd(), message);
  });
}

for (
  const [name, value] of [
    ["PGPASSWORD", "hunter2"],
    ["PG2KINESIS_PG_URL", "postgres://u:hunter%32@h/d"],
    ["AWS_SECRET_ACCESS_KEY", "hunter2"],
    ["AWS_SESSION_TOKEN", "hunter2"],
    ["PG2KINESIS_MASK_SALT", "hunter2"],
  ] as const
) {
  Deno.test(`main keeps the secret in ${name} out of the log`, async () => {
    const { stderr } = await end("runError", ["--log-level", "debug"], { [name]: value });
    assertMatch(stderr, /ERROR cannot connect with \*\*\* /);
    assert(!stderr.includes("hunter2"), stderr);
  });
}

Deno.test("main shows stack traces and causes with --log-level debug, still in one line", async () => {
  const { code, stderr } = await end("runError", ["--log-level", "debug"], {
    PGPASSWORD: "hunter2",
  });
  assertEquals([code, lines(stderr).length], [1, 1]);
  assertMatch(stderr, /main_fixture\.ts:\d+/);
  assertMatch(stderr, /caused by: Error: the cause/);
  assert(!stderr.includes("hunter2"), stderr);
});

Deno.test("main writes the end of a run as JSON with --log-format json", async () => {
  const { code, stderr } = await end("runError", ["--log-format", "json"], {
    PGPASSWORD: "hunter2",
  });
  assertEquals([code, lines(stderr).length], [1, 1]);
  const line = JSON.parse(stderr);
  assertEquals({ ...line, time: "" }, {
    time: "",
    level: "error",
    area: "cli",
    message: "cannot connect with ***",
  });
  assert(!stderr.includes("hunter2"), stderr);
});

Deno.test("main loses no line at the end, even when the log's reader is slow", async () => {
  const child = new Deno.Command("sh", {
    args: [
      "-c",
      `"$0" run -A --quiet "$1" -d d -u u 2>&1 >/dev/null | { sleep 1; cat; }`,
      Deno.execPath(),
      FIXTURE,
    ],
    env: { ...essentials(), ENDING: "lines" },
    clearEnv: true,
    stdout: "piped",
  }).spawn();
  const got = lines(new TextDecoder().decode((await child.output()).stdout));
  assertEquals(got.length, 20_001);
  assertMatch(got.at(-2)!, /INFO line 19999$/);
  assertMatch(got.at(-1)!, /ERROR the last line$/);
});

Deno.test("main goes on when nobody reads the log any more", async () => {
  const child = new Deno.Command("sh", {
    args: [
      "-c",
      `{ { "$0" run -A --quiet "$1" -d d -u u; echo "code $?" >&3; } 2>&1 >/dev/null | true; } 3>&1`,
      Deno.execPath(),
      FIXTURE,
    ],
    env: { ...essentials(), ENDING: "lines" },
    clearEnv: true,
    stdout: "piped",
  }).spawn();
  assertEquals(new TextDecoder().decode((await child.output()).stdout), "code 1\n");
});
