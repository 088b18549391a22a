import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { output } from "../../scripts/build/command_output.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

export const isRoot = (): boolean => Deno.build.os === "linux" && Deno.uid() === 0;

/** Gives a test a folder of its own. */
export async function withFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "pg2k_package_" });
  try {
    // A package's scripts run as others too.
    await Deno.chmod(folder, 0o755);
    await work(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Runs a script of this repository. */
export function deno(script: string, args: readonly string[]): Promise<string> {
  return output(Deno.execPath(), ["run", "-A", "--quiet", join(ROOT, script), ...args], {
    cwd: ROOT,
  });
}

/** Copies programs of this machine with their libraries into a folder that is to be another root. */
export async function programRoot(root: string, programs: readonly string[]): Promise<void> {
  for (const program of programs) {
    const libraries = await output("ldd", [program]);
    const paths = [...libraries.matchAll(/(?:^|\s)(\/\S+)/g)].map(([, path]) => path!);
    for (const path of [program, ...paths]) {
      const folder = join(root, dirname(path));
      await Deno.mkdir(folder, { recursive: true });
      await Deno.copyFile(path, join(folder, basename(path)));
    }
  }
}
