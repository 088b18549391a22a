/**
 * Makes an image for containers of the executables in dist/: `deno task image`, after `deno task build`,
 * writes dist/pg2kinesis-<version>-oci.tar, an OCI image for each Linux executable that is there. It has
 * no base image: the executable, the libraries that it needs and the authorities from Debian's packages,
 * and a user. To be run on Debian; for another machine than this one apt downloads the packages. The
 * same executable and packages give the same bytes.
 */
import { join } from "node:path";
import manifest from "../deno.json" with { type: "json" };
import { buildInfo } from "../src/base/build_info.ts";
import {
  DIST,
  LINUX_TARGETS,
  readExecutable,
  ROOT,
  timeOf,
  writeWithSum,
} from "./build/dist_files.ts";
import { debianFiles, IMAGE_HOME, IMAGE_USER, systemFiles } from "./build/image_files.ts";
import { type MachineImage, ociArchive } from "./build/oci_layout.ts";

const { version } = manifest;
const directory = Deno.args[0] ?? DIST;
if (Deno.args.length > 1 || directory.startsWith("-")) {
  console.error(
    "usage: deno task image [FOLDER]\nFOLDER has the executables, and gets the image; default dist",
  );
  Deno.exit(2);
}
const { commit, date } = buildInfo();
const license = await Deno.readFile(join(ROOT, "LICENSE"));
const licenses = await Deno.readFile(join(directory, `pg2kinesis-${version}-licenses.txt`))
  .catch(() => undefined);
const images: MachineImage[] = [];
for (const { target, machine } of LINUX_TARGETS) {
  const executable = await readExecutable(directory, `pg2kinesis-${version}`, target);
  if (executable === undefined) continue;
  await using files = await debianFiles(machine);
  const packages = [...files.packages].map(([name, status]) =>
    `${name}=${/^Version: (.*)$/m.exec(status)![1]}`
  );
  console.log(`${machine}: ${packages.join(", ")}`);
  const doc = "usr/share/doc/pg2kinesis";
  images.push({
    machine,
    layers: [
      await systemFiles(machine, files),
      [
        { path: "usr/bin/pg2kinesis", mode: 0o755, bytes: executable },
        { path: `${doc}/copyright`, mode: 0o644, bytes: license },
        ...licenses === undefined
          ? []
          : [{ path: `${doc}/licenses.txt`, mode: 0o644, bytes: licenses }],
      ],
    ],
    user: IMAGE_USER,
    entrypoint: ["/usr/bin/pg2kinesis"],
    env: ["PATH=/usr/bin", `HOME=/${IMAGE_HOME}`],
    home: `/${IMAGE_HOME}`,
    labels: {
      "org.opencontainers.image.title": "pg2kinesis",
      "org.opencontainers.image.version": version,
      "org.opencontainers.image.licenses": "MIT",
      ...commit === undefined ? {} : { "org.opencontainers.image.revision": commit },
      "pg2kinesis.debian-packages": packages.join(" "),
    },
  });
}
if (images.length === 0) {
  console.error(
    `no Linux executable of version ${version} is in ${directory}; run deno task build first`,
  );
  Deno.exit(1);
}
const archive = await ociArchive(images, { name: version, time: timeOf(date) });
await writeWithSum(directory, `pg2kinesis-${version}-oci.tar`, archive);
