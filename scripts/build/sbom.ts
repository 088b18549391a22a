import { keyOf, type LockFile, neededBy, splitKey } from "./lock_file.ts";

export interface SbomSource {
  readonly version: string;
  readonly commit: string | undefined;
  /** The commit's day, such as `2026-11-22`. */
  readonly date: string | undefined;
  readonly denoVersion: string;
  /** Of the packages in the executable, and no others. */
  readonly lock: Pick<LockFile, "npm">;
  /** What it imports itself, such as `pg@8.23.1`. */
  readonly direct: readonly string[];
  /** A package's license as its package.json has it, an SPDX expression as a rule. */
  readonly licenseOf: (name: string, version: string) => string | undefined;
}

const PROGRAM = "pg2kinesis";

/**
 * The software bill of materials as CycloneDX 1.6 JSON: every package of the executable with its
 * checksum, what needs what, and the Deno that runs them.
 */
export function renderSbom(source: SbomSource): string {
  const { version, commit, date, denoVersion, lock } = source;
  const keys = Object.keys(lock.npm);
  const deno = `deno@${denoVersion}`;
  const bom = {
    $schema: "http://cyclonedx.org/schema/bom-1.6.schema.json",
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    version: 1,
    metadata: {
      ...date === undefined ? {} : { timestamp: `${date}T00:00:00Z` },
      component: {
        "bom-ref": PROGRAM,
        type: "application",
        name: PROGRAM,
        version,
        licenses: [{ license: { id: "MIT" } }],
        ...commit === undefined ? {} : { properties: [{ name: "commit", value: commit }] },
      },
    },
    components: [
      {
        "bom-ref": deno,
        type: "platform",
        name: "deno",
        version: denoVersion,
        description: "The runtime in the executable; it has V8 and Rust crates of its own inside.",
        licenses: [{ license: { id: "MIT" } }],
        purl: `pkg:github/denoland/deno@v${denoVersion}`,
      },
      ...keys.map((key) => component(key, source)),
    ],
    dependencies: [
      { ref: PROGRAM, dependsOn: [deno, ...source.direct.map((given) => keyOf(given, lock))] },
      { ref: deno, dependsOn: [] },
      ...keys.map((key) => ({ ref: key, dependsOn: neededBy(key, lock) })),
    ],
  };
  return JSON.stringify(bom, null, 2) + "\n";
}

function component(key: string, { lock, licenseOf }: SbomSource) {
  const { name, version } = splitKey(key);
  const [group, bare] = name.startsWith("@") ? name.split("/") as [string, string] : [, name];
  const license = licenseOf(name, version);
  return {
    "bom-ref": key,
    type: "library",
    ...group === undefined ? {} : { group },
    name: bare,
    version,
    hashes: [{ alg: "SHA-512", content: hexOfIntegrity(lock.npm[key]!.integrity) }],
    ...license === undefined ? {} : { licenses: [{ expression: license }] },
    purl: `pkg:npm/${name.replace("@", "%40")}@${version}`,
  };
}

function hexOfIntegrity(integrity: string): string {
  const base64 = /^sha512-(.+)$/.exec(integrity)?.[1];
  if (base64 === undefined) throw new Error(`deno.lock: no SHA-512: ${integrity}`);
  return [...atob(base64)].map((byte) => byte.charCodeAt(0).toString(16).padStart(2, "0")).join("");
}
