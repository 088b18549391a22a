import { join, relative } from "node:path";
import { type LockFile, splitKey } from "./lock_file.ts";
import type { PackageCache } from "./package_cache.ts";

/** LICENSE, license.md, LICENSE.txt, COPYING, NOTICE, CopyrightNotice.txt; not license.js. */
const LICENSE_FILE = /^(?:(?:un)?licen[cs]e|copying|notice|copyright)[^.]*(?:\.(?:md|txt|mit))?$/i;

const RULE = "=".repeat(80);

export interface LicenseSource {
  readonly version: string;
  readonly denoVersion: string;
  /** Of the packages in the executable, and no others. */
  readonly lock: Pick<LockFile, "npm">;
  readonly packages: PackageCache;
}

/** The licenses of all that is in the executable, as one text. */
export async function licenseTexts(root: string, source: LicenseSource): Promise<string> {
  const { version, denoVersion, lock, packages } = source;
  const runtime = (file: string) => read(join(root, "scripts/build/runtime_licenses", file));
  const sections = [
    `pg2kinesis ${version}\nLicense: MIT\n\n${await read(join(root, "LICENSE"))}`,
    `Deno ${denoVersion}, the runtime\nLicense: MIT\n` +
    "The Rust crates in it, and their licenses, stand in\n" +
    `https://github.com/denoland/deno/blob/v${denoVersion}/Cargo.lock\n\n${await runtime(
      "deno.txt",
    )}`,
    `V8, in Deno\nLicense: BSD-3-Clause\n\n${await runtime("v8.txt")}`,
    `ICU, in V8\nLicense: Unicode-3.0\n\n${await runtime("icu.txt")}`,
  ];
  const seen = new Set<string>();
  for (const key of Object.keys(lock.npm).sort()) {
    const { name, version } = splitKey(key);
    // A package may be there once for each set of its peers.
    if (seen.has(`${name}@${version}`)) continue;
    seen.add(`${name}@${version}`);
    sections.push(await sectionOf(name, version, packages));
  }
  return sections.map((section) => `${RULE}\n${section.trimEnd()}\n`).join("\n");
}

async function sectionOf(name: string, version: string, packages: PackageCache): Promise<string> {
  const kept = packages.find(name, version);
  const license = packages.licenseOf(name, version);
  const lines = [`${name} ${version}`, `License: ${license ?? "not named in its package.json"}`];
  const { author, homepage, repository } = packages.manifest(name, version) ?? {};
  const who = typeof author === "string" ? author : author?.name;
  const where = typeof repository === "string" ? repository : repository?.url;
  if (who !== undefined) lines.push(`Author: ${who}`);
  if ((where ?? homepage) !== undefined) lines.push(`Source: ${where ?? homepage}`);
  const files = kept === undefined ? [] : await licenseFiles(kept.folder);
  if (files.length === 0) lines.push("The package has no license file.");
  for (const file of files) {
    lines.push("", `--- ${relative(kept!.folder, file).replaceAll("\\", "/")}`, await read(file));
  }
  return lines.join("\n");
}

/** In a fixed order, those of what a package has copied into itself too. */
async function licenseFiles(folder: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    const path = join(folder, name);
    if (isDirectory) found.push(...await licenseFiles(path));
    else if (LICENSE_FILE.test(name)) found.push(path);
  }
  return found.sort();
}

const read = async (path: string) => (await Deno.readTextFile(path)).replaceAll("\r\n", "\n");
