/**
 * Builds the executable: `deno task build [--all]` makes dist/pg2kinesis-<version>-<target> for this
 * machine, or for all targets, and dist/SHA256SUMS.
 *
 * `deno compile` downloads its runtime (denort). Where that cannot be reached, DENO_COMPILE names
 * another Deno to compile with and DENORT_BIN the runtime of the same version.
 */
import { join } from "@std/path";
import manifest from "../deno.json" with { type: "json" };
import { writeRuntimeConfig } from "./build/runtime_config.ts";

const TARGETS = [
  "x86_64-unknown-linux-gnu",
  "aarch64-unknown-linux-gnu",
  "x86_64-apple-darwin",
  "aarch64-apple-darwin",
  "x86_64-pc-windows-msvc",
];

/** The folders of PostgreSQL's Unix sockets: connecting to one needs the right to write to it. */
const SOCKET_DIRS = "/var/run/postgresql,/run/postgresql,/tmp";

/** Of 16 MiB unless told: nearly all garbage is young, and a third of the peak memory was that. */
const V8_FLAGS = "--v8-flags=--max-semi-space-size=4";

/** What the executable may do; it can neither start a program nor load a library. */
const PERMISSIONS = [
  "--no-prompt",
  "--allow-net",
  "--allow-env",
  // Certificates, password and service files, AWS's settings, a formatter module: anywhere.
  "--allow-read",
  `--allow-write=${SOCKET_DIRS}`,
  // The AWS SDK's user agent tells the system's release.
  "--allow-sys=osRelease",
];

const ROOT = new URL("..", import.meta.url).pathname;
const DIST = join(ROOT, "dist");
/** Compiled in, for `--version`; removed afterwards, since the source must not read a stale one. */
const BUILD_INFO = join(DIST, "build_info.json");

async function main(args: readonly string[]): Promise<number> {
  const all = args.includes("--all");
  if (args.some((argument) => argument !== "--all")) {
    console.error("usage: deno task build [--all]");
    return 2;
  }
  if (all && Deno.env.get("DENORT_BIN")) {
    console.error("cannot build for all targets with the one runtime that DENORT_BIN names");
    return 2;
  }
  await Deno.mkdir(DIST, { recursive: true });
  const configDir = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(BUILD_INFO, JSON.stringify({ commit: await commit() }));
    await writeRuntimeConfig(ROOT, configDir);
    const sums: string[] = [];
    for (const target of all ? TARGETS : [Deno.build.target]) {
      const name = `pg2kinesis-${manifest.version}-${target}`;
      if (!await compile(target, configDir, join(DIST, name))) {
        console.error(
          `cannot build ${name}: "deno compile" failed, its messages are above. If it cannot ` +
            "download its runtime here, set DENO_COMPILE to a Deno and DENORT_BIN to the " +
            "denort of the same version",
        );
        return 1;
      }
      const file = target.includes("windows") ? `${name}.exe` : name;
      sums.push(`${await sha256(join(DIST, file))}  ${file}\n`);
      const { size } = await Deno.stat(join(DIST, file));
      console.log(`dist/${file}  ${Math.round(size / 1e6)} MB`);
    }
    await Deno.writeTextFile(join(DIST, "SHA256SUMS"), sums.join(""));
    return 0;
  } finally {
    await Deno.remove(BUILD_INFO);
    await Deno.remove(configDir, { recursive: true });
  }
}

async function compile(target: string, configDir: string, output: string): Promise<boolean> {
  const compiler = Deno.env.get("DENO_COMPILE") || Deno.execPath();
  // With a runtime of its own, a target would make `deno compile` look for another one.
  const targetArgs = Deno.env.get("DENORT_BIN") ? [] : ["--target", target];
  const { success } = await new Deno.Command(compiler, {
    // deno-fmt-ignore
    args: [
      "compile", "--quiet", "--no-check", V8_FLAGS, ...PERMISSIONS, ...targetArgs,
      "--config", join(configDir, "deno.json"), "--lock", join(configDir, "deno.lock"), "--frozen",
      "--include", BUILD_INFO, "--output", output, join(ROOT, "main.ts"),
    ],
    cwd: ROOT,
    env: { DENO_TLS_CA_STORE: Deno.env.get("DENO_TLS_CA_STORE") ?? "system,mozilla" },
    stdin: "null",
  }).spawn().status;
  return success;
}

/** The commit that is built; undefined outside of a checkout. */
async function commit(): Promise<string | undefined> {
  try {
    const { success, stdout } = await new Deno.Command("git", {
      args: ["rev-parse", "HEAD"],
      cwd: ROOT,
      stderr: "null",
    }).output();
    return success ? new TextDecoder().decode(stdout).trim() : undefined;
  } catch (error) {
    // No git here.
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

async function sha256(path: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", await Deno.readFile(path));
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

if (import.meta.main) {
  Deno.exit(await main(Deno.args));
}
