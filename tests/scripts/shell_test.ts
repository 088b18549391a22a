import { assertEquals, assertMatch } from "@std/assert";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { denoDir } from "../support/pg2kinesis.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const SCRIPTS = [
  "scripts/test.sh",
  "scripts/demo.sh",
  "scripts/install.sh",
  "scripts/find_deno.sh",
];
/** A test that is quick and passes, to be run through test.sh. */
const QUICK = ["tests/scripts/comparison_test.ts", "--filter", "compare finds"];

for (const script of SCRIPTS) {
  Deno.test(`${script} is a shell script that sh can read`, async () => {
    const { code, stderr } = await sh(["-n", script]);
    assertEquals([code, stderr], [0, ""]);
  });
}

Deno.test("test.sh ends with the count of the tests", async () => {
  const { code, stdout } = await sh(["scripts/test.sh", ...QUICK]);
  assertEquals(stdout.trimEnd().split("\n").at(-1), "4 passed, 0 failed");
  assertEquals(code, 0);
});

Deno.test("test.sh counts failed and skipped tests, and fails", async () => {
  await using scratch = await scratchDir();
  const file = join(scratch.path, "some_test.ts");
  await Deno.writeTextFile(
    file,
    `Deno.test("a", () => {});
     Deno.test("b", () => { throw new Error("no"); });
     Deno.test("c", { ignore: true }, () => {});`,
  );
  const { code, stdout } = await sh(["scripts/test.sh", "--no-config", file]);
  assertEquals(stdout.trimEnd().split("\n").at(-1), "1 passed, 1 failed, 1 skipped");
  assertEquals(code, 1);
});

Deno.test("test.sh counts a module that does not compile as a failure", async () => {
  await using scratch = await scratchDir();
  const file = join(scratch.path, "some_test.ts");
  await Deno.writeTextFile(file, `const number: number = "text";`);
  const { code, stdout } = await sh(["scripts/test.sh", "--no-config", file]);
  assertEquals(stdout.trimEnd().split("\n").at(-1), "0 passed, 1 failed");
  assertEquals(code, 1);
});

for (const [version, answer] of [["2.3.7", "too old"], ["1.46.3", "too old"], ["x", "too old"]]) {
  Deno.test(`find_deno passes over Deno ${version} and names npm where that is missing too`, async () => {
    await using scratch = await scratchDir();
    await fakeDeno(scratch.path, version!);
    const { code, stderr } = await sh(["scripts/test.sh", ...QUICK], {
      PATH: await toolsWithoutNpm(scratch.path),
      // An earlier run may have taken one from npm.
      XDG_CACHE_HOME: scratch.path,
    });
    assertEquals(code, 1);
    assertMatch(stderr, new RegExp(`deno is Deno .*${answer}: 2.4 is needed`));
    assertMatch(stderr, /cannot find Deno 2\.4 or newer, nor npm to take it from/);
  });
}

for (const version of ["2.4.0", "2.10.1", "3.0.0"]) {
  Deno.test(`find_deno takes Deno ${version} from PATH`, async () => {
    await using scratch = await scratchDir();
    await fakeDeno(scratch.path, version);
    const { code, stdout } = await sh(
      ["-c", "set -eu; . scripts/find_deno.sh; find_deno"],
      { PATH: await toolsWithoutNpm(scratch.path) },
    );
    assertEquals([code, stdout], [0, `${scratch.path}/deno\n`]);
  });
}

Deno.test("find_deno keeps what it downloads in a folder of its own where there is no HOME", async () => {
  await using scratch = await scratchDir();
  const { code, stdout, stderr } = await sh(
    ["-c", 'set -eu; . scripts/find_deno.sh; echo "$cache"'],
    // Root could make any folder.
    { HOME: "", XDG_CACHE_HOME: "", TMPDIR: scratch.path },
  );
  const cache = `${scratch.path}/cache-${Deno.uid()}`;
  assertEquals([code, stdout, stderr], [0, `${cache}\n`, ""]);

  // In /tmp, another user may have been there first.
  await Deno.rename(cache, `${scratch.path}/ours`);
  await Deno.symlink(`${scratch.path}/ours`, cache);
  const linked = await sh(
    ["-c", "set -eu; . scripts/find_deno.sh"],
    { HOME: "", XDG_CACHE_HOME: "", TMPDIR: scratch.path },
  );
  assertEquals([linked.code, linked.stderr], [
    1,
    `${cache} is a link, or belongs to another user: remove it\n`,
  ]);
});

const noNpm = !isThere("npm");
if (noNpm) console.warn("skipped: npm is not installed");
Deno.test({
  name: "find_deno takes Deno from the mirror that npm's global configuration names",
  ignore: noNpm,
  fn: async () => {
    await using scratch = await scratchDir();
    const asked: string[] = [];
    await using mirror = Deno.serve(
      { port: 0, hostname: "127.0.0.1", onListen: () => {} },
      (request) => {
        asked.push(new URL(request.url).pathname);
        return new Response("not here", { status: 404 });
      },
    );
    await Deno.mkdir(join(scratch.path, "etc"));
    await Deno.writeTextFile(
      join(scratch.path, "etc/npmrc"),
      `registry=http://127.0.0.1:${mirror.addr.port}/\nfetch-retries=0\n`,
    );
    // What the environment says of npm would go before its configuration.
    const ours = Object.fromEntries(
      Object.entries(Deno.env.toObject()).filter(([name]) => !/^npm_config_/i.test(name)),
    );
    const tools = await toolsWithoutNpm(scratch.path, ["npm", "node", "env"]);
    const { code, stderr } = await sh(["-c", "set -eu; . scripts/find_deno.sh; find_deno"], {
      ...ours,
      PATH: tools,
      HOME: scratch.path,
      XDG_CACHE_HOME: scratch.path,
      npm_config_prefix: scratch.path,
    }, true);
    assertEquals([code, asked], [1, ["/deno"]], stderr);
    assertMatch(stderr, /cannot install deno@\S+ with npm; its messages are above/);
  },
});

Deno.test("demo.sh refuses an argument that it does not know", async () => {
  const { code, stderr } = await sh(["scripts/demo.sh", "--kep"]);
  assertMatch(stderr, /^demo\.sh does not know "--kep"\nusage: sh scripts\/demo\.sh \[--keep\]/);
  assertEquals(code, 2);
});

async function sh(
  args: readonly string[],
  env: Record<string, string> = {},
  clearEnv = false,
) {
  const { code, stdout, stderr } = await new Deno.Command("sh", {
    args: [...args],
    cwd: ROOT,
    clearEnv,
    env: { DENO_DIR: denoDir(), ...env },
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

/** Puts a `deno` into the directory that knows nothing but its version. */
async function fakeDeno(directory: string, version: string): Promise<void> {
  const path = join(directory, "deno");
  await Deno.writeTextFile(path, `#!/bin/sh\necho "deno ${version} (stable, release)"\n`);
  await Deno.chmod(path, 0o755);
}

/** A `PATH` with that directory and the tools of a bare system, but neither Deno nor npm unless they are among `more`. */
async function toolsWithoutNpm(directory: string, more: readonly string[] = []): Promise<string> {
  const tools = join(directory, "tools");
  await Deno.mkdir(tools);
  const bare = ["sh", "sed", "mkdir", "dirname", "id", "uname", "rm", "mktemp"];
  for (const tool of [...bare, ...more]) {
    const places = more.includes(tool) ? Deno.env.get("PATH")!.split(":") : ["/bin", "/usr/bin"];
    for (const place of places) {
      try {
        await Deno.stat(join(place, tool));
        await Deno.symlink(join(place, tool), join(tools, tool));
        break;
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
    }
  }
  return `${directory}:${tools}`;
}

function isThere(command: string): boolean {
  try {
    return new Deno.Command(command, { args: ["--version"], stdout: "null" }).outputSync().success;
  } catch {
    return false;
  }
}

async function scratchDir(): Promise<{ path: string } & AsyncDisposable> {
  const path = await Deno.makeTempDir({ prefix: "pg2k_sh_" });
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}
