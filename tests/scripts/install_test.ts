import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Authority, type Certificate, hasOpenssl, NO_OPENSSL } from "../support/certificates.ts";
import { denoDir } from "../support/pg2kinesis.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const INSTALL = join(ROOT, "scripts/install.sh");
const NAME = `pg2kinesis-1.2.3-${Deno.build.target}`;
/** Stands in for the executable where it is the script that counts. */
const PROGRAM = '#!/bin/sh\necho "pg2kinesis 1.2.3 (test)"\n';

for (const downloader of ["curl", "wget"]) {
  Deno.test(`install.sh installs with ${downloader}, over what was there before`, async () => {
    await using release = await serve({ [NAME]: PROGRAM });
    const { code, stdout, stderr } = await install(release, { downloader });
    assertEquals([code, stderr], [0, ""]);
    assertEquals(stdout.split("\n"), [
      `downloading ${NAME}`,
      `installed ${release.prefix}/bin/pg2kinesis: pg2kinesis 1.2.3 (test)`,
      `${release.prefix}/bin is not in PATH`,
      "",
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

  Deno.test(`install.sh with ${downloader} is not led from this machine to plain http`, async () => {
    await using release = await serve({ [NAME]: PROGRAM });
    await using elsewhere = await serve({ [NAME]: PROGRAM });
    for (const name of [NAME, "SHA256SUMS"]) {
      release.redirects[name] = `${elsewhere.url}/${name}`;
      const { code, stderr } = await install(release, { downloader });
      assertEquals(code, 1, name);
      assertStringIncludes(stderr, `install.sh: cannot download ${release.url}/${name}`);
      assertEquals(await installed(release), {});
    }
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

Deno.test("install.sh refuses plain http but to this machine, whatever the address looks like", async () => {
  await using release = await serve({ [NAME]: PROGRAM });
  const refused = [
    "http://files.example.com/pg2kinesis",
    "HTTP://files.example.com",
    "http://localhost.example.com",
    "http://localhost@files.example.com",
    "http://files.example.com#@localhost",
    "http://127.example.com",
    "http://127.0.0.1:80@files.example.com/",
    "http://[::1].example.com/",
    "http://10.0.0.1",
    "http://0x7f000001",
    "ftp://localhost/",
    "files.example.com",
  ];
  for (const url of refused) {
    const { code, stderr } = await install({ ...release, url });
    assertEquals(code, 1, url);
    assert(stderr.startsWith(`install.sh: ${url} is `), stderr);
    assertMatch(
      stderr,
      /is plain http, which anybody on the way can change|is no https:\/\/ address/,
    );
  }
  // Refused before anything is made.
  assertEquals([...Deno.readDirSync(release.prefix)], []);
  for (const host of ["localhost", "127.0.0.1", "user@localhost"]) {
    const url = release.url.replace("127.0.0.1", host);
    assertEquals((await install({ ...release, url })).code, 0, host);
  }
});

const noOpenssl = !hasOpenssl();
if (noOpenssl) console.warn(NO_OPENSSL);
for (const downloader of ["curl", "wget"]) {
  Deno.test({
    name: `install.sh with ${downloader} takes https, and is not led from it to plain http`,
    ignore: noOpenssl,
    fn: async () => {
      const authority = await Authority.create("install");
      const certificate = await authority.sign("localhost", ["DNS:localhost"]);
      await using release = await serve({ [NAME]: PROGRAM }, certificate);
      await using plain = await serve({ [NAME]: PROGRAM });
      const trusted = join(release.prefix, "ca.pem");
      await Deno.writeTextFile(trusted, authority.cert);
      await Deno.writeTextFile(`${trusted}.wgetrc`, `ca_certificate = ${trusted}\n`);
      const env = { CURL_CA_BUNDLE: trusted, WGETRC: `${trusted}.wgetrc` };
      assertEquals((await install(release, { downloader, env })).stderr, "");
      assertEquals(await installed(release), { pg2kinesis: PROGRAM });

      await Deno.remove(join(release.prefix, "bin/pg2kinesis"));
      for (const name of [NAME, "SHA256SUMS"]) {
        release.redirects[name] = `${plain.url}/${name}`;
        const { code, stderr } = await install(release, { downloader, env });
        assertEquals(code, 1, name);
        assertStringIncludes(stderr, `install.sh: cannot download ${release.url}/${name}`);
        assertEquals(await installed(release), {});
      }
    },
  });
}

Deno.test("install.sh says that a folder is in its place, and puts nothing into it", async () => {
  await using release = await serve({ [NAME]: PROGRAM });
  const place = join(release.prefix, "bin/pg2kinesis");
  await Deno.mkdir(place, { recursive: true });
  const folder = await install(release);
  assertEquals([folder.code, folder.stdout], [1, ""]);
  assertEquals(
    folder.stderr,
    `install.sh: ${place} is a folder: move it away or set another PREFIX; nothing is installed\n`,
  );
  assertEquals([...Deno.readDirSync(place)], []);
  assertEquals([...Deno.readDirSync(dirname(place))].map(({ name }) => name), ["pg2kinesis"]);

  // A link to a folder is one too; a link to a file is replaced, and its file is not.
  await Deno.rename(place, join(release.prefix, "elsewhere"));
  await Deno.symlink(join(release.prefix, "elsewhere"), place);
  assertMatch((await install(release)).stderr, /is a folder/);
  await Deno.remove(place);
  await Deno.writeTextFile(join(release.prefix, "old"), "old");
  await Deno.symlink(join(release.prefix, "old"), place);
  assertEquals((await install(release)).code, 0);
  assertEquals(await Deno.readTextFile(join(release.prefix, "old")), "old");
  assert((await Deno.lstat(place)).isFile);
});

Deno.test("install.sh says where it cannot write", async () => {
  await using release = await serve({ [NAME]: PROGRAM });
  const file = join(release.prefix, "file");
  await Deno.writeTextFile(file, "");
  const { code, stdout, stderr } = await install({ ...release, prefix: file });
  assertEquals([code, stdout], [1, ""]);
  assertEquals(
    stderr,
    `install.sh: cannot write to ${file}/bin: run it as a user who can, or with PREFIX=$HOME/.local\n`,
  );
});

Deno.test("install.sh that arrives by half does nothing", async () => {
  await using release = await serve({ [NAME]: PROGRAM });
  const text = await Deno.readTextFile(INSTALL);
  const half = join(release.prefix, "half.sh");
  for (let length = text.lastIndexOf("main"); length > 0; length -= 150) {
    await Deno.writeTextFile(half, text.slice(0, length));
    await install(release, { script: half });
    assertEquals([...Deno.readDirSync(release.prefix)].map(({ name }) => name), ["half.sh"]);
  }
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
  /** Where it sends who asks for a file. */
  readonly redirects: Record<string, string>;
  /** Where what is not in `files` is looked for. */
  folder?: string;
  /** Where to install to. */
  readonly prefix: string;
}

/** Puts these files and their sums behind a local address. */
async function serve(
  files: Record<string, string>,
  certificate?: Certificate,
): Promise<Release> {
  let sums = "";
  for (const [name, text] of Object.entries(files)) {
    const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
    sums += `${hex(digest)}  ${name}\n`;
  }
  if (sums !== "") files["SHA256SUMS"] = sums;
  const prefix = await Deno.makeTempDir({ prefix: "pg2k_install_" });
  const server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {}, ...certificate },
    async (request) => {
      const name = new URL(request.url).pathname.slice(1);
      const location = release.redirects[name];
      if (location !== undefined) return new Response(null, { status: 302, headers: { location } });
      if (files[name] !== undefined) return new Response(files[name]);
      if (release.folder === undefined) return new Response("no such file", { status: 404 });
      return new Response((await Deno.open(join(release.folder, name))).readable);
    },
  );
  const release: Release = {
    url: certificate === undefined
      ? `http://127.0.0.1:${server.addr.port}`
      : `https://localhost:${server.addr.port}`,
    files,
    redirects: {},
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
  readonly env?: Readonly<Record<string, string>>;
  /** Another script than install.sh. */
  readonly script?: string;
}

/** Runs install.sh on a machine that has the tools of a bare system, one downloader and one for sums. */
async function install(
  { url, prefix }: Pick<Release, "url" | "prefix">,
  { downloader = "curl", sumTool = "sha256sum", uname, ldd, env, script = INSTALL }: Machine = {},
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
    return await sh([script], { PATH: tools, PREFIX: prefix, PG2KINESIS_URL: url, ...env });
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
