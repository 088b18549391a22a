import { assert, assertEquals, assertMatch } from "@std/assert";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { licenseTexts } from "../../scripts/build/license_texts.ts";
import type { LockFile } from "../../scripts/build/lock_file.ts";
import { PackageCache } from "../../scripts/build/package_cache.ts";
import { writeRuntimeConfig } from "../../scripts/build/runtime_config.ts";
import { buildIn, canBuild, NO_EXECUTABLE } from "../support/executable.ts";
import { denoDir } from "../support/pg2kinesis.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const ignore = !await canBuild();
if (ignore) console.warn(NO_EXECUTABLE);

Deno.test({
  name: "two builds of one source are the same in every byte, wherever and whenever they are made",
  ignore,
  fn: async () => {
    const directory = await Deno.makeTempDir({ prefix: "pg2k_build_" });
    try {
      const [one, other] = [join(directory, "one"), join(directory, "ein anderes, längeres")];
      await Deno.mkdir(one);
      const first = await buildIn(one);
      // Other folders, other times, and packages from another place.
      await Deno.mkdir(other);
      const packages = join(directory, "cache");
      await Deno.mkdir(packages);
      await cp(join(denoDir(), "npm"), packages);
      const second = await buildIn(other, packages);

      const names = [...Deno.readDirSync(first)].map(({ name }) => name).sort();
      assertEquals([...Deno.readDirSync(second)].map(({ name }) => name).sort(), names);
      const sums = await Deno.readTextFile(join(first, "SHA256SUMS"));
      assertEquals(await Deno.readTextFile(join(second, "SHA256SUMS")), sums);
      assertEquals(sums.trimEnd().split("\n").length, names.length - 1);
      for (const name of names.filter((name) => name !== "SHA256SUMS")) {
        assert(sums.includes(`  ${name}\n`), `${name} is in SHA256SUMS`);
        const [a, b] = [await sha256(join(first, name)), await sha256(join(second, name))];
        assertEquals(a, b, name);
        assert(sums.includes(`${a}  ${name}\n`), sums);
      }
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
});

Deno.test("the licenses name every package inside, with its text, and the runtime's", async () => {
  const directory = await Deno.makeTempDir({ prefix: "pg2k_licenses_" });
  try {
    const { lock: path } = await writeRuntimeConfig(ROOT, directory);
    const lock: LockFile = JSON.parse(await Deno.readTextFile(path));
    const packages = await PackageCache.open(ROOT);
    const source = { version: "1.0.0", denoVersion: "2.9.6", lock, packages };
    const text = await licenseTexts(ROOT, source);
    assertEquals(await licenseTexts(ROOT, source), text);

    const sections = text.split(/^={80}\n/m).slice(1);
    const heads = sections.map((section) => section.split("\n", 1)[0]!);
    assertEquals(heads.slice(0, 4), [
      "pg2kinesis 1.0.0",
      "Deno 2.9.6, the runtime",
      "V8, in Deno",
      "ICU, in V8",
    ]);
    const inside = Object.keys(lock.npm).map((key) =>
      key.replace(/^(@?[^@]+)@([^_]+).*$/, "$1 $2")
    );
    assertEquals(new Set(heads.slice(4)), new Set(inside));
    for (const [i, section] of sections.entries()) {
      assertMatch(section, /^License: [\w.-]+/m, heads[i]);
      assertMatch(
        section,
        /Permission|Redistribution|Apache License|has no license file/i,
        heads[i],
      );
    }
    assertMatch(sections[heads.indexOf("pg 8.23.1")]!, /--- LICENSE\n[^]*Brian Carlson/);
    // One that forgot its file: what it says of itself stands in its place.
    assertMatch(
      sections[heads.indexOf("pg-types 2.2.0")]!,
      /License: MIT\nAuthor: .+\nSource: .+\nThe package has no license file\./,
    );
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

async function cp(from: string, into: string): Promise<void> {
  const { success } = await new Deno.Command("cp", { args: ["-R", from, into] }).output();
  assert(success, `cp ${from}`);
}

async function sha256(path: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", await Deno.readFile(path));
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
