import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { dirname, join } from "@std/path";
import { denoDir } from "../support/pg2kinesis.ts";

const ROOT = new URL("../..", import.meta.url).pathname;
const INSTALL = join(ROOT, "scripts/install.sh");
const NAME = `pg2kinesis-1.2.3-${Deno.build.target}`;
/** Stands in for the executable where it is the script that counts. */
const PROGRAM = '#!/bin/sh\necho "pg2kinesis 1.2.3 (test)"\n';

for (const downloader of ["curl", "wget"]) {
  Deno.test(`install.sh installs with ${downloader}, over what was there before`, async () => {
    await using release = await serve({ [NAME]: PROGRAM });
    const { code, stdout, stderr } = await install(release, { downloader });
    assertEquals([code, stderr], [0, ""]);
    assertEquals(stdout.split("\n").slice(0, 2), [
      `downloading ${NAME}`,
      `installed ${release.prefix}/bin/pg2kinesis: pg2kinesis 1.2.3 (test)`,
    ]);
    assertEquals(await installed(release), { pg2kinesis: PROGRAM });
    assertEquals((await Deno.stat(join(release.prefix, "bin/pg2kinesis"))).mode! & 0o777, 0o755);
    assertEquals((await install(release, { downloader })).code, 0);
  });

  Deno.test(`install.sh with ${downloader} refuses what does not have its sum, and leaves the old one`, async () => {
    await using release = await serve({ [NAME]: PROGRAM });
    await install(release, { downloader });
    release.files[NAME] = PROGRAM + "echo tampered\n";
    const { code, stderr } = await install(release, { downloader });
    assertEquals(code, 1);
    assertMatch(stderr, new RegExp(`^install.sh: ${NAME} is not what SHA256SUMS says: .* instead`));
    assertEquals(await installed(release), { pg2kinesis: PROGRAM });
  });

  Deno.test(`install.sh with ${downloader} says what it cannot download`, async () => {
    await using release = await serve({ [NAME]: PROGRAM });
    delete release.files[NAME];
    const { code, stderr } = await install(release, { downloader });
    assertEquals(code, 1);
    assertStringIncludes(stderr, `install.sh: cannot download ${release.url}/${NAME}\n`);
    assertEquals(await installed(release), {});
  });
}

for (const tool of ["shasum", "openssl"]) {
  Deno.test(`install.sh checks the sum with ${tool} where there is no sha256sum`, async () => {
    await using release = await serve({ [NAME]: PROGRAM });
    assertEquals((await install(release, { sumTool: tool })).code, 0);
    release.files[NAME] = "#!/bin/sh\n";
    assertMatch((await install(release, { sumTool: tool })).stderr, /is not what SHA256SUMS says/);
  });
}

Deno.test("install.sh refuses a release without this machine, one that is unclear, and no release", async () => {
  await using other = await serve({ "pg2kinesis-1.2.3-riscv64-unknown-linux-gnu": PROGRAM });
  assertMatch((await install(other)).stderr, /SHA256SUMS names no executable for/);
  await using two = await serve({ [NAME]: PROGRAM, [NAME.replace("1.2.3", "1.2.4")]: PROGRAM });
  assertMatch((await install(two)).stderr, /SHA256SUMS names several executables for/);
  const { code, stderr } = await install({ ...two, url: "" });
  assertEquals(code, 1);
  assertMatch(stderr, /of no release: set PG2KINESIS_URL/);
});

Deno.test("install.sh refuses machines that there is no executable for", async () => {
  await using release = await serve({ [NAME]: PROGRAM });
  for (
    const [system, machine, said] of [
      ["Linux", "riscv64", /no executable for a riscv64 processor/],
      ["FreeBSD", "amd64", /no executable for FreeBSD/],
      ["Darwin", "arm64", /names no executable for aarch64-apple-darwin/],
      ["Darwin", "x86_64", /names no executable for x86_64-apple-darwin/],
      ["Linux", "s390x", /only for x86_64 and arm64/],
    ] as const
  ) {
    const { code, stderr } = await install(release, { uname: [system, machine] });
    assertEquals(code, 1);
    assertMatch(stderr, said);
  }
  const musl = await install(release, { ldd: "musl libc (x86_64)" });
  assertMatch(musl.stderr, /needs the GNU C library, and this system has musl/);
  assertEquals(await installed(release), {});
});

Deno.test("install.sh does not install what does not run", async () => {
  await using release = await serve({ [NAME]: "#!/bin/sh\nexit 1\n" });
  assertMatch(
    (await install(release)).stderr,
    /does not run on this machine; nothing is installed/,
  );
  assertEquals(await installed(release), {});
});

const executable = Deno.env.get("PG2KINESIS_BIN");
if (!executable) {
  console.warn("skipped: PG2KINESIS_BIN names no executable (deno task build; .ci/run does both)");
}
Deno.test({
  name: "install.sh installs the executable as it was built, which then runs the demo",
  ignore: !executable,
  fn: async () => {
    await using release = await serve({});
    release.folder = dirname(executable!);
    const { code, stdout, stderr } = await install(release);
    assertEquals([code, stderr], [0, ""]);
    assertMatch(stdout, /^installed .*\/bin\/pg2kinesis: pg2kinesis \d+\.\d+\.\d+ \(/m);
    const demo = await sh(["scripts/demo.sh"], {
      PG2KINESIS_BIN: join(release.prefix, "bin/pg2kinesis"),
    });
    assertMatch(demo.stdout, /^committed \d+ changes in \d+ transactions, .*: OK$/m);
    assertEquals(demo.code, 0);
  },
});

interface Release extends AsyncDisposable {
  readonly url: string;
  /** What the address has. */
  readonly files: Record<string, string>;
  /** Where what is not in `files` is looked for. */
  folder?: string;
  /** Where to install to. */
  readonly prefix: string;
}

/** Puts these files and their sums behind a local address. */
async function serve(files: Record<string, string>): Promise<Release> {
  let sums = "";
  for (const [name, text] of Object.entries(files)) {
    const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
    sums += `${hex(digest)}  ${name}\n`;
  }
  if (sums !== "") files["SHA256SUMS"] = sums;
  const prefix = await Deno.makeTempDir({ prefix: "pg2k_install_" });
  const server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {} },
    async (request) => {
      const name = new URL(request.url).pathname.slice(1);
      if (files[name] !== undefined) return new Response(files[name]);
      if (release.folder === undefined) return new Response("no such file", { status: 404 });
      return new Response((await Deno.open(join(release.folder, name))).readable);
    },
  );
  const release: Release = {
    url: `http://127.0.0.1:${server.addr.port}`,
    files,
    prefix,
    [Symbol.asyncDispose]: async () => {
      await server.shutdown();
      await Deno.remove(prefix, { recursive: true });
    },
  };
  return release;
}

const hex = (bytes: ArrayBuffer) =>
  [...new Uint8Array(bytes)].map((byte) => byte.toString(16).padStart(2, "0")).join("");

/** The installed files, by name; the drafts that a failure must not leave are files too. */
async function installed({ prefix }: Release): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for await (const { name } of Deno.readDir(join(prefix, "bin"))) {
    found[name] = await Deno.readTextFile(join(prefix, "bin", name));
  }
  return found;
}

interface Machine {
  readonly downloader?: string;
  readonly sumTool?: string;
  /** What `uname -s` and `uname -m` say; by default the truth. */
  readonly uname?: readonly [string, string];
  /** What `ldd --version` says. */
  readonly ldd?: string;
}

/** Runs install.sh on a machine that has the tools of a bare system, one downloader and one for sums. */
async function install(
  { url, prefix }: Pick<Release, "url" | "prefix">,
  { downloader = "curl", sumTool = "sha256sum", uname, ldd }: Machine = {},
) {
  const tools = await Deno.makeTempDir({ prefix: "pg2k_tools_" });
  try {
    const all = [
      "sh",
      "mkdir",
      "mktemp",
      "rm",
      "mv",
      "chmod",
      "grep",
      "sed",
      "cut",
      "uname",
      "ldd",
    ];
    // shasum is a Perl script.
    for (const tool of [...all, "perl", downloader, sumTool]) {
      await Deno.symlink(await whereIs(tool), join(tools, tool));
    }
    if (uname !== undefined) {
      const [system, machine] = uname;
      await fake("uname", `[ "$1" = -s ] && echo ${system} || echo ${machine}`);
    }
    if (ldd !== undefined) await fake("ldd", `echo "${ldd}" >&2; exit 1`);
    return await sh([INSTALL], { PATH: tools, PREFIX: prefix, PG2KINESIS_URL: url });
  } finally {
    await Deno.remove(tools, { recursive: true });
  }

  async function fake(tool: string, script: string): Promise<void> {
    await Deno.remove(join(tools, tool));
    await Deno.writeTextFile(join(tools, tool), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  }
}

async function whereIs(tool: string): Promise<string> {
  for (const place of (Deno.env.get("PATH") ?? "").split(":")) {
    try {
      const path = join(place, tool);
      await Deno.stat(path);
      return path;
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  throw new Error(`${tool} is not installed, and the test needs it`);
}

async function sh(args: readonly string[], env: Record<string, string>) {
  const { code, stdout, stderr } = await new Deno.Command("sh", {
    args: [...args],
    cwd: ROOT,
    env: { DENO_DIR: denoDir(), ...env },
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  const output = { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
  assert(code === 0 || output.stderr !== "", "it failed and did not say why");
  return output;
}
