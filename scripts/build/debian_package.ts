import { join } from "node:path";
import { renderCompletions } from "../../src/cli/completions.ts";
import { renderManPage } from "../../src/cli/man_page.ts";
import { type Machine, ROOT } from "./dist_files.ts";
import { concat, gzip, type TarEntry, withFolders, writeTar } from "./tar.ts";

export interface DebianPackage {
  readonly version: string;
  readonly machine: Machine;
  /** Of all files, in seconds since 1970. */
  readonly time: number;
  readonly executable: Uint8Array;
  /** The licenses of what is in the executable; undefined where the build did not write them. */
  readonly licenses: string | undefined;
}

const text = new TextEncoder();
const MAINTAINER = "pg2kinesis <pg2kinesis@localhost>";
const SETTINGS = "etc/pg2kinesis/pg2kinesis.env";

/**
 * The executable with its unit, manual page and completions as a package of Debian, whose format is
 * deb(5): an `ar` archive of two `tar` archives. Written here, so that no Debian is needed to build it.
 */
export async function debianPackage(source: DebianPackage): Promise<Uint8Array> {
  const files = await filesOf(source);
  const size = files.reduce((sum, { bytes }) => sum + (bytes?.length ?? 0), 0);
  const control = withFolders([
    { path: "control", mode: 0o644, bytes: text.encode(controlOf(source, size)) },
    { path: "conffiles", mode: 0o644, bytes: text.encode(`/${SETTINGS}\n`) },
    { path: "md5sums", mode: 0o644, bytes: text.encode(await sumsOf(files)) },
    ...await Promise.all(["postinst", "prerm", "postrm"].map(async (name) => ({
      path: name,
      mode: 0o755,
      bytes: await Deno.readFile(join(ROOT, "scripts/build/debian", name)),
    }))),
  ]);
  const archive = (entries: readonly TarEntry[]) =>
    gzip(writeTar([{ path: "./", mode: 0o755 }, ...entries.map(relative)], source.time));
  return concat([
    text.encode("!<arch>\n"),
    member("debian-binary", text.encode("2.0\n"), source.time),
    member("control.tar.gz", archive(control), source.time),
    member(
      "data.tar.gz",
      archive(withFolders(files, [
        // Secrets are in it.
        { path: "etc/pg2kinesis/", mode: 0o700 },
      ])),
      source.time,
    ),
  ]);
}

const relative = (entry: TarEntry): TarEntry => ({ ...entry, path: `./${entry.path}` });

async function filesOf(
  { version, time, executable, licenses }: DebianPackage,
): Promise<TarEntry[]> {
  const read = (path: string) => Deno.readTextFile(join(ROOT, path));
  const unit = (await read("docs/examples/pg2kinesis.service"))
    .replace("/usr/local/bin/pg2kinesis", "/usr/bin/pg2kinesis")
    .replace("# systemd unit for pg2kinesis: /etc/systemd/system/pg2kinesis.service\n", "");
  const file = (path: string, content: string | Uint8Array, mode = 0o644): TarEntry => ({
    path,
    mode,
    bytes: typeof content === "string" ? text.encode(content) : content,
  });
  const doc = "usr/share/doc/pg2kinesis";
  return [
    file("usr/bin/pg2kinesis", executable, 0o755),
    file("lib/systemd/system/pg2kinesis.service", unit),
    file(SETTINGS, await read("scripts/build/debian/pg2kinesis.env"), 0o600),
    file("usr/share/man/man1/pg2kinesis.1.gz", gzip(text.encode(renderManPage()))),
    file("usr/share/bash-completion/completions/pg2kinesis", renderCompletions("bash")),
    file("usr/share/zsh/vendor-completions/_pg2kinesis", renderCompletions("zsh")),
    file("usr/share/fish/vendor_completions.d/pg2kinesis.fish", renderCompletions("fish")),
    file(`${doc}/copyright`, await read("LICENSE")),
    ...licenses === undefined ? [] : [file(`${doc}/licenses.txt.gz`, gzip(text.encode(licenses)))],
    file(`${doc}/changelog.gz`, gzip(text.encode(changelog(version, time)))),
    file("usr/share/lintian/overrides/pg2kinesis", OVERRIDES),
  ];
}

/** Why lintian is not right about these. */
const OVERRIDES = `\
# The program is appended to the runtime, where strip would cut it off.
pg2kinesis: unstripped-binary-or-object [usr/bin/pg2kinesis]
# Deno's runtime has its libraries inside, as all its executables do.
pg2kinesis: embedded-library *
# The project has no mail address.
pg2kinesis: bogus-mail-host *
pg2kinesis: bogus-mail-host-in-debian-changelog *
# It undoes what the operator's systemctl enable did.
pg2kinesis: maintainer-script-calls-systemctl *
# It is no package of Debian itself, and closes none of its bugs.
pg2kinesis: initial-upload-closes-no-bugs *
# It has passwords in it.
pg2kinesis: non-standard-dir-perm *
pg2kinesis: non-standard-file-perm *
`;

function changelog(version: string, time: number): string {
  const date = new Date(time * 1000).toUTCString().replace("GMT", "+0000");
  return `pg2kinesis (${version}) stable; urgency=medium\n\n  * See CHANGELOG.md of this version.\n\n` +
    ` -- ${MAINTAINER}  ${date}\n`;
}

function controlOf({ version, machine, executable }: DebianPackage, size: number): string {
  return `\
Package: pg2kinesis
Version: ${version}
Architecture: ${machine}
Maintainer: ${MAINTAINER}
Installed-Size: ${Math.ceil(size / 1024)}
Depends: libc6 (>= ${glibcOf(executable)}), libgcc-s1
Recommends: ca-certificates
Section: database
Priority: optional
Description: streams PostgreSQL's row changes to Amazon Kinesis
 Reads a logical replication slot and publishes every committed row change to
 an Amazon Kinesis data stream, in commit order. The slot is the only state.
`;
}

/** The newest version of the GNU C library that the executable has a symbol of. */
function glibcOf(executable: Uint8Array): string {
  const found = new TextDecoder("latin1").decode(executable).matchAll(/\0GLIBC_2\.(\d+)\0/g);
  const minor = Math.max(...[...found].map(([, digits]) => Number(digits)));
  return Number.isFinite(minor) ? `2.${minor}` : "2.27";
}

/** As `md5sum` prints them, which dpkg --verify compares. */
async function sumsOf(files: readonly TarEntry[]): Promise<string> {
  const { createHash } = await import("node:crypto");
  return files.filter(({ path }) => path !== SETTINGS).map(({ path, bytes }) =>
    `${createHash("md5").update(bytes!).digest("hex")}  ${path}\n`
  ).join("");
}

/** One file of an `ar` archive. */
function member(name: string, bytes: Uint8Array, time: number): Uint8Array {
  const header = name.padEnd(16) + String(time).padEnd(12) + "0     0     " + "100644  " +
    String(bytes.length).padEnd(10) + "`\n";
  return concat([text.encode(header), bytes, text.encode(bytes.length % 2 === 1 ? "\n" : "")]);
}
