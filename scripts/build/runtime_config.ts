import { join } from "@std/path";
import manifest from "../../deno.json" with { type: "json" };

/** The part of `deno info --json` that is read here. */
interface ModuleGraph {
  readonly modules: readonly {
    readonly dependencies?: readonly { readonly specifier: string; readonly code?: unknown }[];
  }[];
}

/**
 * Writes a deno.json and a deno.lock into `directory` that have only the packages which main.ts
 * reaches. `deno compile` puts every package of its configuration into the executable: with those of
 * the tests, PostgreSQL among them, it would be 70 MB larger.
 */
export async function writeRuntimeConfig(root: string, directory: string): Promise<void> {
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
  // Deno takes out of the lock what the configuration no longer has; the rest stays pinned.
  await Deno.copyFile(join(root, "deno.lock"), lock);
  await deno(root, ["cache", "--quiet", "--config", config, "--lock", lock, "main.ts"]);
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
