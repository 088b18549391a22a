import { assert, assertEquals, assertThrows } from "@std/assert";
import { fileURLToPath } from "node:url";
// The validator looks for these by name.
import "ajv";
import "ajv-formats";
import "ajv-formats-draft2019";
import { Spec, Validation } from "@cyclonedx/cyclonedx-library";
import { PackageCache } from "../../scripts/build/package_cache.ts";
import { writeRuntimeConfig } from "../../scripts/build/runtime_config.ts";
import { type LockFile, onlyWith } from "../../scripts/build/lock_file.ts";
import { renderSbom, type SbomSource } from "../../scripts/build/sbom.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

const INTEGRITY = `sha512-${btoa("\x01\xab".padEnd(64, "\0"))}`;
const SMALL: SbomSource = {
  version: "1.0.0",
  commit: "93b7b52e302f",
  date: "2026-11-22",
  denoVersion: "2.9.6",
  lock: {
    npm: {
      "@a/b@1.0.0": { integrity: INTEGRITY, dependencies: ["pool"] },
      "pool@2.0.0_c@1.0.0": { integrity: INTEGRITY, optionalDependencies: ["c@1.0.0"] },
      "c@1.0.0": { integrity: INTEGRITY },
      "c@2.0.0": { integrity: INTEGRITY },
    },
  },
  direct: ["@a/b@1.0.0", "pool@2.0.0"],
  licenseOf: (name) => name === "c" ? undefined : "MIT",
};

Deno.test("renderSbom lists each package with its sum, its license and what it needs", () => {
  const { components, dependencies } = JSON.parse(renderSbom(SMALL));
  assertEquals(components[1], {
    "bom-ref": "@a/b@1.0.0",
    type: "library",
    group: "@a",
    name: "b",
    version: "1.0.0",
    hashes: [{ alg: "SHA-512", content: "01ab".padEnd(128, "0") }],
    licenses: [{ expression: "MIT" }],
    purl: "pkg:npm/%40a/b@1.0.0",
  });
  assertEquals(components[3].licenses, undefined);
  assertEquals(dependencies, [
    { ref: "pg2kinesis", dependsOn: ["deno@2.9.6", "@a/b@1.0.0", "pool@2.0.0_c@1.0.0"] },
    { ref: "deno@2.9.6", dependsOn: [] },
    { ref: "@a/b@1.0.0", dependsOn: ["pool@2.0.0_c@1.0.0"] },
    { ref: "pool@2.0.0_c@1.0.0", dependsOn: ["c@1.0.0"] },
    { ref: "c@1.0.0", dependsOn: [] },
    { ref: "c@2.0.0", dependsOn: [] },
  ]);
});

Deno.test("renderSbom refuses a lock file that does not say which package is meant", () => {
  assertThrows(() => renderSbom({ ...SMALL, direct: ["c"] }), Error, "2 packages for c");
  assertThrows(
    () => renderSbom({ ...SMALL, direct: ["d@1.0.0"] }),
    Error,
    "0 packages for d@1.0.0",
  );
});

Deno.test("onlyWith keeps the packages that are asked for, and what they need", () => {
  const lock: LockFile = {
    ...{ version: "5", npm: SMALL.lock.npm },
    specifiers: { "npm:@a/b@1.0.0": "1.0.0", "npm:c@2.0.0": "2.0.0" },
    workspace: { dependencies: ["npm:@a/b@1.0.0", "npm:c@2.0.0"] },
  };
  const kept = onlyWith(["@a/b@1.0.0"], lock);
  assertEquals(Object.keys(kept.npm), ["@a/b@1.0.0", "pool@2.0.0_c@1.0.0", "c@1.0.0"]);
  assertEquals(kept.specifiers, { "npm:@a/b@1.0.0": "1.0.0" });
  assertEquals(kept.workspace, { dependencies: ["npm:@a/b@1.0.0"] });
});

Deno.test("the executable's bill of materials is valid CycloneDX, and has nothing of the tests", async () => {
  const directory = await Deno.makeTempDir({ prefix: "pg2k_sbom_" });
  try {
    // The build's own way: with another Deno's lock file it would add its own types of Node.js.
    const { lock: path, direct } = await writeRuntimeConfig(ROOT, directory);
    const lock: LockFile = JSON.parse(await Deno.readTextFile(path));
    const packages = await PackageCache.open(ROOT);
    const licenseOf = (name: string, version: string) => packages.licenseOf(name, version);
    const text = renderSbom({ ...SMALL, lock, direct, licenseOf });
    const validator = new Validation.JsonStrictValidator(Spec.Version.v1dot6);
    assertEquals(await validator.validate(text), null);
    assert(await validator.validate(text.replace('"library"', '"librarian"')) !== null);

    const { components } = JSON.parse(text);
    const names = components.map(({ group, name }: { group?: string; name: string }) =>
      group === undefined ? name : `${group}/${name}`
    );
    for (const name of ["pg", "@aws-sdk/client-kinesis", "deno"]) {
      assert(names.includes(name), name);
    }
    for (const name of ["kinesalite", "ajv"]) assert(!names.includes(name), name);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
