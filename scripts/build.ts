/**
 * Builds the executable: `deno task build` makes dist/pg2kinesis-<version>-<target> for this machine
 * (or for the targets that are named, or for `--all`), its bill of materials, the licenses of what is
 * inside, and dist/SHA256SUMS. The same commit, Deno and runtime give the same bytes in any folder.
 *
 * `deno compile` downloads its runtime (denort). Where that cannot be reached, DENO_COMPILE names
 * another Deno to compile with and DENORT_BIN the runtime of the same version.
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import manifest from "../deno.json" with { type: "json" };
import { buildInfo } from "../src/base/build_info.ts";
import { SOCKET_FOLDERS } from "../src/libpq/resolve_connection.ts";
import type { LockFile } from "./build/lock_file.ts";
import { licenseTexts } from "./build/license_texts.ts";
import { PackageCache } from "./build/package_cache.ts";
import { writeRuntimeConfig } from "./build/runtime_config.ts";
import { renderSbom } from "./build/sbom.ts";
import { stage, type Staging } from "./build/staging.ts";
import { V8_FLAGS } from "../tests/support/v8_flags.ts";
import { readOrExit } from "./command_line.ts";

const TARGETS = [
  "x86_64-unknown-linux-gnu",
  "aarch64-unknown-linux-gnu",
  "x86_64-apple-darwin",
  "aarch64-apple-darwin",
  "x86_64-pc-windows-msvc",
];

/** The folders of PostgreSQL's Unix sockets: connecting to one needs the right to write to it. */
const SOCKET_DIRS = SOCKET_FOLDERS.join(",");

/** What the executable may do; it can neither start a program nor load a library. */
const PERMISSIONS = [
  "--no-prompt",
  "--allow-net",
  "--allow-env",
  // Certificates, password and service files, AWS's settings, a formatter module: anywhere.
  "--allow-read",
  `--allow-write=${SOCKET_DIRS}`,
  // The AWS SDK tells the system's release, and without HOME asks whose home it is to read.
  "--allow-sys=osRelease,uid,homedir",
];

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const DIST = join(ROOT, "dist");
/**
 * The cache of compiled code would be a file in /tmp, of a name that can be guessed, which the program
 * would run whoever had written it.
 */
const NO_CODE_CACHE = "--no-code-cache";

/**
 * What comes from the socket and what is put lies beside the heap. In the V8 of Deno 2.4 that has a limit
 * of its own, and all old objects are looked at each time it is reached, unless this is said. Measured: a
 * sixth of the CPU time of a drain. Later ones no longer know the word: they always do so.
 */
const EXTERNAL_MEMORY = "--external-memory-accounted-in-global-limit";

/** Compiled in, for `--version`. */
const BUILD_INFO = "dist/build_info.json";
/** What the names of this version's files begin with. */
const STEM = `pg2kinesis-${manifest.version}`;
const SBOM = `${STEM}.cdx.json`;
const LICENSES = `${STEM}-licenses.txt`;

const USAGE = `\
usage: deno task build [--all | --target TARGET ...]
targets: ${TARGETS.join("\n         ")}`;

/** What `--metrics-addr` shows to a person. */
const PAGE = "src/telemetry/page";

async function main(args: readonly string[]): Promise<number> {
  if (args.includes("--help")) {
    console.log(USAGE);
    return 0;
  }
  const targets = readOrExit("deno task build", () => targetsOf(args));
  if (Deno.env.get("DENORT_BIN") && targets.some((target) => target !== Deno.build.target)) {
    console.error(
      "cannot build for other machines with the one runtime that DENORT_BIN names; unset it, and " +
        '"deno compile" downloads theirs',
    );
    return 2;
  }
  await Deno.mkdir(DIST, { recursive: true });
  await using staging = await stage(ROOT);
  const info = buildInfo();
  await Deno.writeTextFile(join(staging.program, BUILD_INFO), JSON.stringify(info));
  const { lock: lockPath, direct } = await writeRuntimeConfig(ROOT, staging.program);
  const lock: LockFile = JSON.parse(await Deno.readTextFile(lockPath));
  const packages = await PackageCache.open(ROOT);
  await staging.finish(lock, packages);
  const flags = await v8Flags();
  for (const target of targets) {
    if (!await compile(target, flags, staging, join(DIST, `${STEM}-${target}`))) {
      console.error(
        `cannot build for ${target}: "deno compile" failed, its messages are above. If it cannot ` +
          "download its runtime here, set DENO_COMPILE to a Deno and DENORT_BIN to the " +
          "denort of the same version",
      );
      return 1;
    }
    const file = fileOf(target);
    const { size } = await Deno.stat(join(DIST, file));
    console.log(`dist/${file}  ${Math.round(size / 1e6)} MB`);
  }
  const inside = { version: manifest.version, denoVersion: await compilerVersion(), lock };
  const licenseOf = (name: string, version: string) => packages.licenseOf(name, version);
  await write(SBOM, renderSbom({ ...info, ...inside, direct, licenseOf }));
  await write(LICENSES, await licenseTexts(ROOT, { ...inside, packages }));
  await writeSums();
  return 0;
}

async function write(name: string, text: string): Promise<void> {
  await Deno.writeTextFile(join(DIST, name), text);
  console.log(`dist/${name}`);
}

/** @throws where it is no command line of this script. */
function targetsOf(args: readonly string[]): readonly string[] {
  if (args.length === 0) return [Deno.build.target];
  if (args.length === 1 && args[0] === "--all") return TARGETS;
  const targets: string[] = [];
  for (let i = 0; i < args.length; i += 2) {
    const target = args[i + 1];
    if (args[i] === "--all") throw new Error("--all stands alone");
    if (args[i] !== "--target") throw new Error(`Unknown argument ${args[i]}`);
    if (target === undefined) throw new Error("--target needs a value");
    if (!TARGETS.includes(target)) {
      throw new Error(`--target ${target} is none of ${TARGETS.join(", ")}`);
    }
    targets.push(target);
  }
  return targets;
}

/** `sha256sum -c SHA256SUMS` in dist/ checks all files of this version, those built before too. */
async function writeSums(): Promise<void> {
  let sums = "";
  for (const name of [...TARGETS.map(fileOf), SBOM, LICENSES]) {
    const sum = await sha256(join(DIST, name));
    if (sum !== undefined) sums += `${sum}  ${name}\n`;
  }
  await write("SHA256SUMS", sums);
}

const fileOf = (target: string) => `${STEM}-${target}${target.includes("windows") ? ".exe" : ""}`;

const compiler = () => Deno.env.get("DENO_COMPILE") || Deno.execPath();

async function compilerVersion(): Promise<string> {
  const { stdout } = await new Deno.Command(compiler(), { args: ["--version"] }).output();
  const version = /^deno (\S+)/.exec(new TextDecoder().decode(stdout))?.[1];
  if (version === undefined) throw new Error(`${compiler()} is no Deno`);
  return version;
}

/** Those that the V8 of the executable knows: with one that it does not know it would not start. */
async function v8Flags(): Promise<string> {
  const flags = `${V8_FLAGS},${EXTERNAL_MEMORY}`;
  const { success } = await new Deno.Command(compiler(), { args: ["eval", flags, ""] }).output();
  return success ? flags : V8_FLAGS;
}

async function compile(
  target: string,
  flags: string,
  { program, denoDir }: Staging,
  output: string,
): Promise<boolean> {
  // With a runtime of its own, a target would make `deno compile` look for another one.
  const targetArgs = Deno.env.get("DENORT_BIN") ? [] : ["--target", target];
  const { success } = await new Deno.Command(compiler(), {
    // deno-fmt-ignore
    args: [
      "compile", "--quiet", "--no-check", NO_CODE_CACHE, flags, ...PERMISSIONS, ...targetArgs,
      "--config", "deno.json", "--lock", "deno.lock", "--frozen",
      "--include", BUILD_INFO, "--include", PAGE, "--output", output, "main.ts",
    ],
    cwd: program,
    env: {
      DENO_DIR: denoDir,
      DENO_TLS_CA_STORE: Deno.env.get("DENO_TLS_CA_STORE") ?? "system,mozilla",
      // Deno 2.4 goes as deep as the packages are nested; its threads' 2 MiB are too few for that.
      RUST_MIN_STACK: String(16 * 1024 * 1024),
    },
    stdin: "null",
  }).spawn().status;
  return success;
}

/** Undefined: there is no such file. */
async function sha256(path: string): Promise<string | undefined> {
  try {
    const digest = await crypto.subtle.digest("SHA-256", await Deno.readFile(path));
    return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

if (import.meta.main) {
  Deno.exit(await main(Deno.args));
}
