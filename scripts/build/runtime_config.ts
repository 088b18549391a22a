import { join } from "node:path";
import { type LockFile, onlyWith } from "./lock_file.ts";
import { runDeno } from "./run_deno.ts";
import manifest from "../../deno.json" with { type: "json" };

/** The part of `deno info --json` that is read here. */
interface ModuleGraph {
  readonly modules: readonly {
    readonly dependencies?: readonly { readonly specifier: string; readonly code?: unknown }[];
  }[];
}

/** A configuration and a lock file of what the executable has inside, and nothing more. */
export interface RuntimeConfig {
  readonly config: string;
  readonly lock: string;
  /** The packages that the program itself imports, such as `pg@8.23.1`. */
  readonly direct: readonly string[];
}

/**
 * Writes a deno.json and a deno.lock into `directory` that have only the packages which main.ts
 * reaches. `deno compile` puts every package of its configuration into the executable: with those of
 * the tests, PostgreSQL among them, it would be 70 MB larger.
 */
export async function writeRuntimeConfig(
  root: string,
  directory: string,
): Promise<RuntimeConfig> {
  const used = await importsOf(root, "main.ts");
  const { tasks: _, imports, ...rest } = manifest;
  const config = join(directory, "deno.json");
  const lock = join(directory, "deno.lock");
  const reached = Object.entries(imports).filter(([name]) =>
    used.some((specifier) => specifier === name || specifier.startsWith(`${name}/`))
  );
  await Deno.writeTextFile(
    config,
    JSON.stringify({ ...rest, imports: Object.fromEntries(reached) }, null, 2),
  );
  const direct = [
    ...new Set(reached.map(([, specifier]) => /^npm:(@?[^@]+@[^/]+)/.exec(specifier)![1]!)),
  ];
  // Deno itself would take out what the configuration no longer has, but 2.4 trips over it.
  const whole: LockFile = JSON.parse(await Deno.readTextFile(join(root, "deno.lock")));
  await Deno.writeTextFile(lock, JSON.stringify(onlyWith(direct, whole), null, 2));
  await runDeno(root, ["cache", "--quiet", "--config", config, "--lock", lock, "main.ts"]);
  return { config, lock, direct };
}

/** The names that the modules behind `entry` import, types aside. */
async function importsOf(root: string, entry: string): Promise<string[]> {
  const graph: ModuleGraph = JSON.parse(await runDeno(root, ["info", "--json", "--frozen", entry]));
  return graph.modules.flatMap(({ dependencies = [] }) =>
    dependencies.filter(({ code }) => code !== undefined).map(({ specifier }) => specifier)
  );
}
