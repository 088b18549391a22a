import { join } from "node:path";
import { type LockFile, splitKey } from "./lock_file.ts";
import type { PackageCache } from "./package_cache.ts";

/** What a package's code can load; the rest, types and source maps above all, is a third of its size. */
const LOADABLE = /\.(?:[cm]?js|json|wasm|node)$/;

/** What `deno compile` gets to see. */
export interface Staging extends AsyncDisposable {
  /** The source, with room for a configuration, a lock file and `dist/build_info.json`. */
  readonly program: string;
  /** A `DENO_DIR` with the packages of the executable. */
  readonly denoDir: string;
  /** Copies the packages of the lock file, then gives every file the same time. */
  finish(lock: Pick<LockFile, "npm">, packages: PackageCache): Promise<void>;
}

/**
 * Copies the program to where nothing tells one build from another. `deno compile` puts into the
 * executable each file's time, the folders down from what its inputs have in common, and what its
 * parser says of files that are no JavaScript, with their paths.
 */
export async function stage(root: string): Promise<Staging> {
  const directory = await Deno.makeTempDir({ prefix: "pg2kinesis_build_" });
  const program = join(directory, "program");
  const denoDir = join(directory, "deno");
  await copyTree(join(root, "src"), join(program, "src"));
  await Deno.copyFile(join(root, "main.ts"), join(program, "main.ts"));
  await Deno.mkdir(join(program, "dist"));
  return {
    program,
    denoDir,
    async finish(lock, packages) {
      for (const key of Object.keys(lock.npm)) {
        const { name, version } = splitKey(key);
        const kept = packages.find(name, version);
        // Packages for other systems are not there.
        if (kept === undefined) continue;
        const copy = join(denoDir, "npm", kept.registry, name, version);
        await copyTree(kept.folder, copy, (file) => LOADABLE.test(file));
      }
      await setTimes(directory);
      await keepDownloads(packages.denoDir, denoDir);
    },
    [Symbol.asyncDispose]: () => Deno.remove(directory, { recursive: true }),
  };
}

async function copyTree(from: string, to: string, isWanted = (_file: string) => true) {
  await Deno.mkdir(to, { recursive: true });
  for await (const { name, isDirectory } of Deno.readDir(from)) {
    if (isDirectory) await copyTree(join(from, name), join(to, name), isWanted);
    else if (isWanted(name)) await Deno.copyFile(join(from, name), join(to, name));
  }
}

async function setTimes(path: string): Promise<void> {
  await Deno.utime(path, 0, 0);
  if (!(await Deno.stat(path)).isDirectory) return;
  for await (const { name } of Deno.readDir(path)) await setTimes(join(path, name));
}

/** Lets the runtime that `deno compile` downloads stay with this machine's other downloads. */
async function keepDownloads(from: string, to: string): Promise<void> {
  await Deno.mkdir(join(from, "dl"), { recursive: true });
  await Deno.mkdir(to, { recursive: true });
  await Deno.symlink(join(from, "dl"), join(to, "dl"));
}
