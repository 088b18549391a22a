import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { sha256 } from "./tar.ts";

export const ROOT = fileURLToPath(new URL("../..", import.meta.url));
export const DIST = join(ROOT, "dist");

/** The Linux executables' targets, and what Debian and OCI call their machines. */
export const LINUX_TARGETS = [
  { target: "x86_64-unknown-linux-gnu", machine: "amd64" },
  { target: "aarch64-unknown-linux-gnu", machine: "arm64" },
] as const;

export type Machine = typeof LINUX_TARGETS[number]["machine"];

/** The executable of a target in `directory`; undefined where it was not built. */
export async function readExecutable(
  directory: string,
  stem: string,
  target: string,
): Promise<Uint8Array | undefined> {
  try {
    return await Deno.readFile(join(directory, `${stem}-${target}`));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** Writes a file, and its line in the folder's SHA256SUMS in place of an earlier one. */
export async function writeWithSum(
  directory: string,
  name: string,
  bytes: Uint8Array,
): Promise<void> {
  await Deno.writeFile(join(directory, name), bytes);
  const path = join(directory, "SHA256SUMS");
  const before = await Deno.readTextFile(path).catch((error) => {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  });
  const others = before.split("\n").filter((line) => line !== "" && !line.endsWith(`  ${name}`));
  const lines = [...others, `${await sha256(bytes)}  ${name}`];
  await Deno.writeTextFile(path, lines.join("\n") + "\n");
  console.log(`${name}  ${Math.max(1, Math.round(bytes.length / 1e6))} MB`);
}

/** Seconds since 1970 of the commit's day, which every file of a package has as its time. */
export function timeOf(date: string | undefined): number {
  return date === undefined ? 0 : Date.parse(`${date}T00:00:00Z`) / 1000;
}
