import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { denoDir } from "./pg2kinesis.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
/** Gives the machine what `deno compile` needs; beside the checkout where this is developed. */
const PREPARE = join(ROOT, "../shared/standalone/prepare");

export const NO_EXECUTABLE =
  "skipped: PG2KINESIS_BIN names no executable, and ../shared/standalone/prepare is not there to build one";

/** An executable for one test. */
export interface Executable extends AsyncDisposable {
  readonly path: string;
}

/** Whether there is one, or can be. */
export async function canFindExecutable(): Promise<boolean> {
  return Boolean(Deno.env.get("PG2KINESIS_BIN")) || await canBuild();
}

/** The one that `PG2KINESIS_BIN` names, else one that is built from this source. */
export async function findExecutable(): Promise<Executable> {
  const given = Deno.env.get("PG2KINESIS_BIN");
  if (given) return { path: given, [Symbol.asyncDispose]: () => Promise.resolve() };
  const directory = await Deno.makeTempDir({ prefix: "pg2k_build_" });
  const remove = () => Deno.remove(directory, { recursive: true });
  try {
    const dist = await buildIn(directory);
    for await (const { name } of Deno.readDir(dist)) {
      if (!name.includes(Deno.build.target)) continue;
      return { path: join(dist, name), [Symbol.asyncDispose]: remove };
    }
    throw new Error("the build made no executable");
  } catch (error) {
    await remove();
    throw error;
  }
}

/** Whether this machine has what `deno compile` needs. */
export async function canBuild(): Promise<boolean> {
  return await prepare() !== undefined;
}

/** Builds a copy of this source in that folder; gives its `dist/`. */
export async function buildIn(directory: string, denoDirectory = denoDir()): Promise<string> {
  const source = ["src", "scripts", "tests", "main.ts", "deno.json", "deno.lock", "LICENSE"];
  await run("cp", ["-R", ...source.map((name) => join(ROOT, name)), directory]);
  await run(Deno.execPath(), ["run", "-A", join(directory, "scripts/build.ts")], {
    ...await prepare(),
    DENO_DIR: denoDirectory,
  });
  return join(directory, "dist");
}

/** `DENO_COMPILE` and `DENORT_BIN`. */
async function prepare(): Promise<Record<string, string> | undefined> {
  try {
    const text = await run(PREPARE, []);
    return Object.fromEntries(
      [...text.matchAll(/(\w+)='([^']*)'/g)].map(([, name, value]) => [name!, value!]),
    );
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

async function run(command: string, args: string[], env: Record<string, string> = {}) {
  const { success, stdout, stderr } = await new Deno.Command(command, { args, env }).output();
  if (!success) throw new Error(`${command} failed: ${new TextDecoder().decode(stderr)}`);
  return new TextDecoder().decode(stdout);
}
