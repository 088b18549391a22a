import { assertEquals } from "@std/assert";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readImports } from "../../scripts/imports.ts";
import { FORMAT_NAMES } from "../../src/format/format_traits.ts";
import { OUTPUT_PLUGINS } from "../../src/options.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** Where a value is compared with one of these names. */
function comparesWith(names: readonly string[]): RegExp {
  const name = `"(?:${names.join("|")})"`;
  return new RegExp(`[!=]== ${name}|case ${name}|${name} [!=]==`);
}

/** Flags of one format. */
const OWN_FLAGS = "src/cli/build_run_options.ts";

Deno.test("no plugin or format is known by its name far from home: ask PLUGINS, or formatTraits", async () => {
  const homes = [
    [comparesWith(OUTPUT_PLUGINS), "src/decode/"],
    [comparesWith(FORMAT_NAMES), "src/format/"],
  ] as const;
  const found: string[] = [];
  for (const file of (await readImports(ROOT)).keys()) {
    if (!file.startsWith("src/") || file === OWN_FLAGS) continue;
    const text = await Deno.readTextFile(join(ROOT, file));
    for (const [pattern, home] of homes) {
      const [compared] = pattern.exec(text) ?? [];
      if (compared !== undefined && !file.startsWith(home)) found.push(`${file}: ${compared}`);
    }
  }
  assertEquals(found, []);
});
