/**
 * Makes packages for Debian and Ubuntu of the executables in dist/: `deno task deb`, after
 * `deno task build`, writes dist/pg2kinesis_<version>_<machine>.deb for each Linux executable that is
 * there. It needs no network, and no Debian. The same executable gives the same bytes.
 */
import { join } from "node:path";
import manifest from "../deno.json" with { type: "json" };
import { buildInfo } from "../src/base/build_info.ts";
import { debianPackage } from "./build/debian_package.ts";
import { DIST, LINUX_TARGETS, readExecutable, timeOf, writeWithSum } from "./build/dist_files.ts";

const { version } = manifest;
const directory = Deno.args[0] ?? DIST;
if (Deno.args.length > 1 || directory.startsWith("-")) {
  console.error(
    "usage: deno task deb [FOLDER]\nFOLDER has the executables, and gets the packages; default dist",
  );
  Deno.exit(2);
}
const licenses = await Deno.readTextFile(join(directory, `pg2kinesis-${version}-licenses.txt`))
  .catch(() => undefined);
let made = 0;
for (const { target, machine } of LINUX_TARGETS) {
  const executable = await readExecutable(directory, `pg2kinesis-${version}`, target);
  if (executable === undefined) continue;
  const time = timeOf(buildInfo().date);
  const bytes = await debianPackage({ version, machine, time, executable, licenses });
  await writeWithSum(directory, `pg2kinesis_${version}_${machine}.deb`, bytes);
  made++;
}
if (made === 0) {
  console.error(
    `no Linux executable of version ${version} is in ${directory}; run deno task build first`,
  );
  Deno.exit(1);
}
