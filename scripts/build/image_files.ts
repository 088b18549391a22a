import { join } from "node:path";
import { output } from "./command_output.ts";
import type { Machine } from "./dist_files.ts";
import { concat, type TarEntry } from "./tar.ts";

/** Where the files of some Debian packages are, and which packages these are. */
export interface DebianFiles extends AsyncDisposable {
  /** A folder that is as `/` with these packages. */
  readonly root: string;
  /** Each package's entry as dpkg has it, by its name. */
  readonly packages: ReadonlyMap<string, string>;
}

/** What a Deno executable needs of a system: the C library with its resolver, and the authorities. */
const PACKAGES = ["libc6", "libgcc-s1", "ca-certificates"];

/** `libnss_*` and `libresolv` are loaded when a host's name is looked up. */
const LIBRARIES = [
  ...["libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1", "libresolv.so.2"],
  ...["libnss_dns.so.2", "libnss_files.so.2", "libgcc_s.so.1"],
];

const LOADERS: Readonly<Record<Machine, string>> = {
  amd64: "lib64/ld-linux-x86-64.so.2",
  arm64: "lib/ld-linux-aarch64.so.1",
};

const TRIPLETS: Readonly<Record<Machine, string>> = {
  amd64: "x86_64-linux-gnu",
  arm64: "aarch64-linux-gnu",
};

/** That of nobody on a usual system. */
export const IMAGE_USER = 65532;
export const IMAGE_HOME = "var/lib/pg2kinesis";

/** Takes those that are installed here, else downloads them with apt, which verifies their signatures. */
export async function debianFiles(machine: Machine): Promise<DebianFiles> {
  const here = (await output("dpkg", ["--print-architecture"])).trim();
  return machine === here ? await installedFiles() : await downloadedFiles(machine);
}

async function installedFiles(): Promise<DebianFiles> {
  const packages = new Map<string, string>();
  for (const name of PACKAGES) {
    // A line for each file that is not as the package has it. Settings may differ, documents be left out.
    const changed = (await output("dpkg", ["--verify", name], { mayFail: true })).split("\n")
      .filter((line) => line !== "" && !/^.{9} c |^missing .*\/usr\/share\//.test(line));
    if (changed.length > 0) {
      throw new Error(`${name} is not as Debian has it: ${changed.join("; ")}`);
    }
    packages.set(name, await output("dpkg-query", ["--status", name]));
  }
  return { root: "/", packages, [Symbol.asyncDispose]: () => Promise.resolve() };
}

async function downloadedFiles(machine: Machine): Promise<DebianFiles> {
  const folder = await Deno.makeTempDir({ prefix: "pg2kinesis_image_" });
  const root = join(folder, "root");
  for (const made of ["lists/partial", "cache/archives/partial", "root"]) {
    await Deno.mkdir(join(folder, made), { recursive: true });
  }
  const apt = (...args: string[]) =>
    // deno-fmt-ignore
    output("apt-get", [
      "-q", "-o", `APT::Architecture=${machine}`, "-o", `APT::Architectures::=${machine}`,
      "-o", `Dir::State::Lists=${folder}/lists`, "-o", `Dir::Cache=${folder}/cache`,
      "-o", "APT::Sandbox::User=root", ...args,
    ], { cwd: folder });
  await apt("update");
  await apt("download", ...PACKAGES.map((name) => `${name}:${machine}`));
  const files = [...Deno.readDirSync(folder)].map(({ name }) => name);
  const packages = new Map<string, string>();
  for (const name of PACKAGES) {
    const file = files.find((each) => each.startsWith(`${name}_`) && each.endsWith(".deb"));
    if (file === undefined) throw new Error(`apt-get downloaded no ${name} for ${machine}`);
    await output("dpkg-deb", ["-x", join(folder, file), root]);
    packages.set(name, await output("dpkg-deb", ["-f", join(folder, file)]));
  }
  return { root, packages, [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }) };
}

/** Everything of an image but the program. */
export async function systemFiles(
  machine: Machine,
  { root, packages }: Pick<DebianFiles, "root" | "packages">,
): Promise<TarEntry[]> {
  const read = (path: string) => Deno.readFile(join(root, path));
  const text = (value: string) => new TextEncoder().encode(value);
  const triplet = TRIPLETS[machine];
  const loader = LOADERS[machine];
  const entries: TarEntry[] = [{ path: loader, mode: 0o755, bytes: await read(loader) }];
  for (const library of LIBRARIES) {
    const path = `lib/${triplet}/${library}`;
    entries.push({ path, mode: 0o755, bytes: await read(path) });
  }
  const folder = "usr/share/ca-certificates/mozilla";
  const authorities = [...Deno.readDirSync(join(root, folder))].map(({ name }) => name).toSorted();
  const bundle = await Promise.all(authorities.map((name) => read(join(folder, name))));
  entries.push({ path: "etc/ssl/certs/ca-certificates.crt", mode: 0o644, bytes: concat(bundle) });
  for (const [name, status] of packages) {
    // Where scanners look for the packages of an image without dpkg.
    entries.push({ path: `var/lib/dpkg/status.d/${name}`, mode: 0o644, bytes: text(status) });
    const copyright = `usr/share/doc/${name}/copyright`;
    // libgcc-s1's is that of gcc.
    const bytes = await read(copyright).catch(() => read("usr/share/doc/gcc-12-base/copyright"))
      .catch(() => undefined);
    if (bytes !== undefined) entries.push({ path: copyright, mode: 0o644, bytes });
  }
  const user = `pg2kinesis:x:${IMAGE_USER}:`;
  entries.push(
    {
      path: "etc/passwd",
      mode: 0o644,
      bytes: text(
        `root:x:0:0:root:/root:/usr/sbin/nologin\n${user}${IMAGE_USER}::/${IMAGE_HOME}:/usr/sbin/nologin\n`,
      ),
    },
    { path: "etc/group", mode: 0o644, bytes: text(`root:x:0:\n${user}\n`) },
    { path: "etc/nsswitch.conf", mode: 0o644, bytes: text("hosts: files dns\n") },
    { path: `${IMAGE_HOME}/`, mode: 0o700, owner: IMAGE_USER },
    { path: "tmp/", mode: 0o1777 },
    // Where a runtime mounts: it cannot make them on a root that is read-only.
    ...["dev/", "proc/", "sys/"].map((path) => ({ path, mode: 0o755 })),
  );
  return entries;
}
