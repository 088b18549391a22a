import { join } from "@std/path";
import { type LockFile, onlyWith } from "./lock_file.ts";
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
  await deno(root, ["cache", "--quiet", "--config", config, "--lock", lock, "main.ts"]);
  return { config, lock, direct };
}

/** Reads a package's license from where Deno keeps packages. */
export async function licenseReader(
  root: string,
): Promise<(name: string, version: string) => string | undefined> {
  const { npmCache } = JSON.parse(await deno(root, ["info", "--json"]));
  // One folder for each registry that packages came from.
  const registries = [...Deno.readDirSync(npmCache)].filter(({ isDirectory }) => isDirectory);
  return (name, version) => {
    for (const registry of registries) {
      try {
        const path = join(npmCache, registry.name, name, version, "package.json");
        const { license } = JSON.parse(Deno.readTextFileSync(path));
        return typeof license === "string" ? license : undefined;
      } catch (error) {
        // Packages for other systems are not there.
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
    }
    return undefined;
  };
}

/** The names that the modules behind `entry` import, types aside. */
async function importsOf(root: string, entry: string): Promise<string[]> {
  const graph: ModuleGraph = JSON.parse(await deno(root, ["info", "--json", "--frozen", entry]));
  return graph.modules.flatMap(({ dependencies = [] }) =>
    dependencies.filter(({ code }) => code !== undefined).map(({ specifier }) => specifier)
  );
}

async function deno(cwd: string, args: string[]): Promise<string> {
  const { success, stdout } = await new Deno.Command(Deno.execPath(), {
    args,
    cwd,
    stdin: "null",
    stderr: "inherit",
  }).output();
  if (!success) throw new Error(`deno ${args.join(" ")} failed; its messages are above`);
  return new TextDecoder().decode(stdout);
}
