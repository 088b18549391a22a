import { output } from "../../scripts/build/command_output.ts";
import { assert, assertEquals, assertMatch } from "@std/assert";
import { dirname, join } from "node:path";
import manifest from "../../deno.json" with { type: "json" };
import { debianPackage } from "../../scripts/build/debian_package.ts";
import { deno, isRoot, programRoot, withFolder } from "./packages.ts";

const { version } = manifest;
/** Stands in for the executable where it is the package that counts. */
const PROGRAM = '#!/bin/sh\necho "pg2kinesis (test)"\n';

const source = (over: { version?: string } = {}) => ({
  ...{ version, machine: "amd64", time: 1_700_000_000, licenses: "MIT" } as const,
  executable: new TextEncoder().encode(PROGRAM),
  ...over,
});

Deno.test("deno task deb makes a package of each Linux executable, the same each time", async () => {
  await withFolder(async (folder) => {
    for (const target of ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"]) {
      await Deno.writeTextFile(join(folder, `pg2kinesis-${version}-${target}`), PROGRAM);
    }
    await Deno.writeTextFile(join(folder, "SHA256SUMS"), "0  before\n");
    const contents: string[] = [];
    for (let i = 0; i < 2; i++) {
      await deno("scripts/deb.ts", [folder]);
      contents.push(await output("sha256sum", ["-b", ...names(folder)]));
    }
    assertEquals(contents[0], contents[1]);
    const sums = (await Deno.readTextFile(join(folder, "SHA256SUMS"))).split("\n");
    assertEquals(sums.length, 4);
    assertEquals(sums[0], "0  before");
    await output("sh", ["-c", "grep deb SHA256SUMS | sha256sum -c --strict -"], { cwd: folder });
  });
});

const names = (folder: string) =>
  ["amd64", "arm64"].map((machine) => join(folder, `pg2kinesis_${version}_${machine}.deb`));

withDebian("dpkg-deb reads the package, whose settings only root can read", async (folder) => {
  const path = await write(folder);
  assertMatch(
    await output("dpkg-deb", ["-f", path, "Depends"]),
    /^libc6 \(>= 2\.\d+\), libgcc-s1\n$/,
  );
  const contents = await output("dpkg-deb", ["-c", path]);
  assertMatch(contents, /^-rwxr-xr-x root\/root .* \.\/usr\/bin\/pg2kinesis$/m);
  assertMatch(contents, /^drwx------ root\/root .* \.\/etc\/pg2kinesis\/$/m);
  assertMatch(contents, /^-rw------- root\/root .* \.\/etc\/pg2kinesis\/pg2kinesis\.env$/m);
  const unit = await output("sh", [
    "-c",
    `dpkg-deb --fsys-tarfile ${path} |
    tar -xO ./lib/systemd/system/pg2kinesis.service`,
  ]);
  assertMatch(unit, /^ExecStart=\/usr\/bin\/pg2kinesis run$/m);
});

withDebian(
  "the package is installed, upgraded, removed and purged in a clean root",
  async (folder) => {
    const root = join(folder, "root");
    await programRoot(root, ["/bin/sh", "/bin/rm"]);
    for (const made of ["info", "updates", "triggers"]) {
      await Deno.mkdir(join(root, "var/lib/dpkg", made), { recursive: true });
    }
    await Deno.writeTextFile(join(root, "var/lib/dpkg/status"), "");
    await Deno.writeTextFile(join(root, "var/lib/dpkg/available"), "");
    const dpkg = (...args: string[]) =>
      output("dpkg", [`--root=${root}`, "--force-depends", "--force-bad-path", ...args]);
    const status = () =>
      output("dpkg-query", [`--admindir=${root}/var/lib/dpkg`, "-W", "-f=${db:Status-Abbrev}"]);
    const settings = join(root, "etc/pg2kinesis/pg2kinesis.env");
    const isThere = (path: string) => Deno.stat(join(root, path)).then(() => true, () => false);

    await dpkg("-i", await write(folder));
    assertEquals(await status(), "ii ");
    assertEquals(await output("chroot", [root, "/usr/bin/pg2kinesis"]), "pg2kinesis (test)\n");
    assertEquals(await dpkg("--verify", "pg2kinesis"), "");

    await Deno.writeTextFile(settings, "PGPASSWORD=hidden\n");
    await dpkg("-i", await write(folder, "99.0.0"));
    assertEquals(await Deno.readTextFile(settings), "PGPASSWORD=hidden\n");

    await Deno.mkdir(join(root, "var/lib/private/pg2kinesis/.aws"), { recursive: true });
    await dpkg("-r", "pg2kinesis");
    assertEquals(
      [await isThere("usr/bin/pg2kinesis"), await isThere("var/lib/private/pg2kinesis/.aws")],
      [false, true],
    );
    assertEquals(await Deno.readTextFile(settings), "PGPASSWORD=hidden\n");
    await dpkg("-P", "pg2kinesis");
    assertEquals(
      [await isThere("etc/pg2kinesis"), await isThere("var/lib/private/pg2kinesis")],
      [false, false],
    );
  },
);

withDebian("lintian finds no fault with the package", async (folder) => {
  await output("lintian", ["--allow-root", "--fail-on", "error,warning", await write(folder)]);
}, "lintian");

async function write(folder: string, as = version): Promise<string> {
  const path = join(folder, `pg2kinesis_${as}_amd64.deb`);
  await Deno.mkdir(dirname(path), { recursive: true });
  await Deno.writeFile(path, await debianPackage(source({ version: as })));
  return path;
}

function withDebian(name: string, fn: (folder: string) => Promise<void>, tool = "dpkg"): void {
  const why = !isRoot()
    ? "needs root, whose files a package has"
    : !hasTool(tool)
    ? `${tool} is not installed`
    : undefined;
  if (why !== undefined) console.warn(`skipped: ${why}`);
  Deno.test({ name, ignore: why !== undefined, fn: () => withFolder(fn) });
}

function hasTool(tool: string): boolean {
  try {
    return new Deno.Command(tool, { args: ["--version"], stdout: "null", stderr: "null" })
      .outputSync().success;
  } catch (error) {
    assert(error instanceof Deno.errors.NotFound, String(error));
    return false;
  }
}
