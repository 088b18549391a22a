import { assertEquals } from "@std/assert";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Imports, readImports, wrongArrows } from "../../scripts/imports.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

function wrong(imports: Readonly<Record<string, readonly string[]>>): string[] {
  return wrongArrows(new Map(Object.entries(imports)));
}

Deno.test("no import leads upwards, or in a circle", async () => {
  const imports: Imports = await readImports(ROOT);
  assertEquals(wrongArrows(imports), []);
  // It sees what it looks for: imports of several lines, of types only, and those made when needed.
  assertEquals(imports.get("src/cli/main.ts")!.includes("src/run/run.ts"), true);
  assertEquals(imports.get("src/pipeline.ts")!.includes("src/checkpoint.ts"), true);
  assertEquals(imports.get("scripts/build.ts")!.includes("scripts/build/staging.ts"), true);
});

Deno.test("an import of a room above, or beside, is wrong", () => {
  assertEquals(
    wrong({ "src/run/a.ts": ["src/base/b.ts", "src/options.ts", "src/pipeline.ts"] }),
    [],
  );
  assertEquals(wrong({ "src/base/a.ts": ["src/options.ts"] }), [
    "src/base/a.ts imports src/options.ts: options.ts is above base",
  ]);
  assertEquals(wrong({ "src/check/a.ts": ["src/tail/b.ts"] }), [
    "src/check/a.ts imports src/tail/b.ts: check and tail stand side by side",
  ]);
  assertEquals(wrong({ "src/cellar/a.ts": ["src/base/b.ts"] }), [
    "src/cellar/a.ts imports src/base/b.ts: cellar has no place in the order of scripts/imports.ts",
  ]);
});

Deno.test("an import of a folder above in the same room is wrong", () => {
  const below = ["src/postgres/connection/b.ts"];
  assertEquals(wrong({ "src/postgres/slot/a.ts": below }), []);
  assertEquals(wrong({ "src/postgres/connection/a.ts": ["src/postgres/slot/b.ts"] }), [
    "src/postgres/connection/a.ts imports src/postgres/slot/b.ts: slot is above connection",
  ]);
  assertEquals(wrong({ "src/decode/pgoutput/a.ts": ["src/decode/wal2json/b.ts"] }), [
    "src/decode/pgoutput/a.ts imports src/decode/wal2json/b.ts: pgoutput and wal2json stand side by side",
  ]);
  assertEquals(wrong({ "src/decode/pgoutput/a.ts": ["src/decode/event.ts"] }), []);
});

Deno.test("modules that import each other by way of others are a circle", () => {
  const [circle, ...more] = wrong({
    "src/tail/a.ts": ["src/tail/b.ts"],
    "src/tail/b.ts": ["src/tail/c.ts"],
    "src/tail/c.ts": ["src/tail/a.ts", "src/tail/d.ts"],
    "src/tail/d.ts": [],
  });
  assertEquals(circle, "a circle: src/tail/a.ts, src/tail/b.ts, src/tail/c.ts");
  assertEquals(more, []);
});

Deno.test("scripts import tests, and never the other way", () => {
  assertEquals(wrong({ "scripts/a.ts": ["tests/support/b.ts"] }), []);
  assertEquals(wrong({ "tests/scripts/a_test.ts": ["scripts/a.ts"] }), []);
  assertEquals(wrong({ "tests/e2e/a_test.ts": ["scripts/a.ts"] }).length, 1);
  assertEquals(wrong({ "tests/e2e/a_test.ts": ["tests/tail/setup.ts"] }).length, 1);
  assertEquals(wrong({ "src/run/a.ts": ["tests/support/b.ts"] }).length, 1);
});

Deno.test("two modules of the program have one name", () => {
  assertEquals(wrong({ "src/check/report.ts": [], "src/telemetry/report.ts": [] }), [
    "one name twice: src/check/report.ts, src/telemetry/report.ts",
  ]);
  assertEquals(wrong({ "tests/check/setup.ts": [], "tests/tail/setup.ts": [] }), []);
});

Deno.test("CONTRIBUTING.md says of every room what is in it", async () => {
  const text = await Deno.readTextFile(join(ROOT, "CONTRIBUTING.md"));
  const missing: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(join(ROOT, "src"))) {
    if (isDirectory && !text.includes(`| \`${name}/\` `)) missing.push(name);
  }
  assertEquals(missing, []);
});
