import { basename, join, resolve } from "node:path";
import type { Pg2kinesisOptions } from "../../tests/support/pg2kinesis.ts";

/** One state of the program among those that are measured in turns. */
export interface Version {
  readonly name: string;
  /** How it is started. */
  readonly program: Pick<Pg2kinesisOptions, "executable" | "main">;
}

/** What this checkout has, or `PG2KINESIS_BIN` names. */
export const THIS_VERSION: Version = { name: "now", program: {} };

/** `path` is a checkout or an executable; its last part names the version. */
export async function readVersion(path: string): Promise<Version> {
  const { isDirectory } = await Deno.stat(path);
  const full = resolve(path);
  if (basename(full) === THIS_VERSION.name) {
    throw new Error(`--against ${path} would be called as this version is: rename it`);
  }
  return {
    name: basename(full),
    program: isDirectory ? { main: join(full, "main.ts") } : { executable: full },
  };
}
