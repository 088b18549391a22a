import { output } from "../../scripts/build/command_output.ts";
import { assert, assertEquals, assertMatch } from "@std/assert";
import { join } from "node:path";
import manifest from "../../deno.json" with { type: "json" };
import { startEmbeddedPostgres } from "../support/embedded_postgres.ts";
import { flagsFor, freshStreamName } from "../support/following_program.ts";
import { startKinesalite } from "../support/kinesalite.ts";
import { deno, isRoot, withFolder } from "./packages.ts";
import { freshDatabase } from "../support/shared_postgres.ts";
import { waitFor } from "../support/wait.ts";

const NAME = `pg2kinesis-${manifest.version}`;
const ARCHIVE = `${NAME}-oci.tar`;
const isDebian = has("dpkg-query") && has("dpkg");
if (!isDebian) console.warn("skipped: an image is made of Debian's packages, and dpkg is not here");

Deno.test({
  name: "deno task image writes an OCI layout whose digests are right, the same each time",
  ignore: !isDebian,
  fn: () =>
    withFolder(async (folder) => {
      await Deno.writeTextFile(join(folder, `${NAME}-${Deno.build.target}`), "#!/bin/sh\n");
      const archives: string[] = [];
      for (let i = 0; i < 2; i++) {
        await deno("scripts/image.ts", [folder]);
        archives.push(await output("sha256sum", [join(folder, ARCHIVE)]));
      }
      assertEquals(archives[0], archives[1]);
      const { config, image, files } = await unpack(folder);
      assertEquals(config.config.User, "65532:65532");
      assertEquals(config.config.Entrypoint, ["/usr/bin/pg2kinesis"]);
      assertEquals([config.os, config.config.StopSignal], ["linux", "SIGTERM"]);
      assertMatch(
        image.annotations["pg2kinesis.debian-packages"],
        /^libc6=\S+ libgcc-s1=\S+ ca-cert/,
      );
      // Nothing that anybody could change, or become somebody else by.
      for (const line of files) {
        assert(
          /^(-rw-r--r--|-rwxr-xr-x|drwxr-xr-x|drwx------ 65532\/|drwxrwxrwt root.* tmp\/$)/.test(
            line,
          ),
          line,
        );
      }
      for (const path of ["etc/ssl/certs/ca-certificates.crt", "var/lib/dpkg/status.d/libc6"]) {
        assert(files.some((line) => line.endsWith(` ${path}`)), path);
      }
    }),
});

const executable = Deno.env.get("PG2KINESIS_BIN");
const why = !isDebian || !isRoot() || !canIsolate()
  ? "needs root on Debian, and bubblewrap with namespaces"
  : executable === undefined
  ? "PG2KINESIS_BIN names no executable"
  : undefined;
if (why !== undefined) console.warn(`skipped: running the image: ${why}`);

Deno.test({
  name: "the image runs as process 1 without root on a read-only root, and ends cleanly on SIGTERM",
  ignore: why !== undefined,
  fn: () =>
    withFolder(async (folder) => {
      await Deno.copyFile(executable!, join(folder, `${NAME}-${Deno.build.target}`));
      await deno("scripts/image.ts", [folder]);
      const { root } = await unpack(folder);
      await using server = await startEmbeddedPostgres();
      await using kinesis = await startKinesalite();
      await using db = await freshDatabase(server);
      await db.sql("create table t (id int primary key)");
      const stream = freshStreamName();
      await kinesis.createStream(stream, 1);
      // deno-fmt-ignore
      const process = new Deno.Command("bwrap", {
        args: [
          "--ro-bind", root, "/", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp",
          "--unshare-pid", "--as-pid-1", "--unshare-user", "--uid", "65532", "--gid", "65532", "--die-with-parent",
          "/usr/bin/pg2kinesis", ...flagsFor(db, stream), "--create-slot",
        ],
        clearEnv: true,
        env: { ...kinesis.env, HOME: "/var/lib/pg2kinesis", AWS_EC2_METADATA_DISABLED: "true" },
        stdin: "null",
        stdout: "null",
        stderr: "piped",
      }).spawn();
      let log = "";
      const reading = process.stderr.pipeThrough(new TextDecoderStream())
        .pipeTo(new WritableStream({ write: (text) => void (log += text) }));
      try {
        await waitFor(() => /following slot/.test(log), {
          what: "the program in the image to follow its slot",
          found: () => log,
        });
        const [pid] = (await output("pgrep", ["-P", String(process.pid)])).split("\n");
        assertMatch(await Deno.readTextFile(`/proc/${pid}/status`), /^NSpid:.*\t1$/m);
        Deno.kill(Number(pid), "SIGTERM");
        const { code } = await process.status;
        await reading;
        assertEquals(code, 0, log);
      } finally {
        try {
          process.kill("SIGKILL");
        } catch { /* It has ended. */ }
      }
    }),
});

/** Checks the archive's blobs, and unpacks the layers of its first image. */
async function unpack(folder: string) {
  const layout = join(folder, "layout");
  const root = join(folder, "image");
  for (const made of [layout, root]) await Deno.mkdir(made);
  await output("tar", ["-xf", join(folder, ARCHIVE), "-C", layout]);
  const blob = (digest: string) => join(layout, "blobs", digest.replace(":", "/"));
  const read = async (digest: string) => JSON.parse(await Deno.readTextFile(blob(digest)));
  for (const { name } of Deno.readDirSync(join(layout, "blobs/sha256"))) {
    const sum = await output("sha256sum", [join(layout, "blobs/sha256", name)]);
    assertEquals(sum.split(" ")[0], name);
  }
  const { manifests: [index] } = JSON.parse(await Deno.readTextFile(join(layout, "index.json")));
  const { manifests: [entry] } = await read(index.digest);
  const image = await read(entry.digest);
  const config = await read(image.config.digest);
  const files: string[] = [];
  for (const { digest, size } of image.layers) {
    assertEquals((await Deno.stat(blob(digest))).size, size);
    files.push(...(await output("tar", ["-tvzf", blob(digest)])).trimEnd().split("\n"));
    // In a user namespace of one user all must be that one's.
    await output("tar", ["-xzf", blob(digest), "-C", root, "--no-same-owner"]);
  }
  return { root, image, config, files };
}

function has(tool: string): boolean {
  try {
    return new Deno.Command(tool, { args: ["--version"], stdout: "null", stderr: "null" })
      .outputSync().success;
  } catch (error) {
    assert(error instanceof Deno.errors.NotFound, String(error));
    return false;
  }
}

/** A container may not give the rights for it. */
function canIsolate(): boolean {
  if (!has("bwrap")) return false;
  const args = ["--ro-bind", "/", "/", "--unshare-user", "--unshare-pid", "/bin/true"];
  return new Deno.Command("bwrap", { args, stdout: "null", stderr: "null" }).outputSync().success;
}
