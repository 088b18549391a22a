import { assert, assertEquals, assertMatch } from "@std/assert";
import { startEmbeddedPostgres } from "../support/embedded_postgres.ts";
import { startKinesalite } from "../support/kinesalite.ts";
import { putPlain } from "../support/aggregated_stream.ts";
import { denoDir, programCommand } from "../support/pg2kinesis.ts";
import { freshDatabase } from "../support/shared_postgres.ts";
import { hasTmux, NO_TMUX, Terminal } from "../support/terminal.ts";
import { waitFor } from "../support/wait.ts";
import { flagsFor, freshStreamName, waitUntilConfirmed } from "../support/following_program.ts";

// `.ci/run` runs this with the executable too, whose runtime writes in another way.

const DEVICE_FULL = "/dev/full";
const isLinux = Deno.build.os === "linux";
if (!isLinux) console.warn(`skipped: needs ${DEVICE_FULL} and /proc, which are Linux's`);
if (!hasTmux()) console.warn(NO_TMUX);

type Output = { stdout?: "piped" | "null"; stderr?: "piped" | "null" };

/** Starts the program behind a line of shell, which ends with it in its place. */
function start(
  shell: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  output: Output = {},
): Deno.ChildProcess {
  const program = programCommand(args);
  return new Deno.Command("sh", {
    args: ["-c", `${shell}`, program.command, ...program.args],
    clearEnv: true,
    env: { ...environment(), ...env },
    stdin: "null",
    stdout: output.stdout ?? "null",
    stderr: output.stderr ?? "null",
  }).spawn();
}

function environment(): Record<string, string> {
  return {
    PATH: Deno.env.get("PATH") ?? "/usr/bin:/bin",
    HOME: "/nonexistent",
    NO_COLOR: "1",
    DENO_NO_UPDATE_CHECK: "1",
    DENO_DIR: denoDir(),
    AWS_EC2_METADATA_DISABLED: "true",
  };
}

/** Fills the pipe of a file descriptor for ever; nobody is to read its other end. */
const filling = (descriptor: 1 | 2) => `yes >&${descriptor} 2>/dev/null & exec "$0" "$@"`;

async function codeOf(child: Deno.ChildProcess): Promise<number> {
  let code: number | undefined;
  const ended = child.status.then((status) => code = status.code);
  try {
    await waitFor(() => code !== undefined, { what: "the program to end" });
  } catch (error) {
    child.kill("SIGKILL");
    throw error;
  }
  return await ended;
}

Deno.test("a log that nobody reads neither stops a run nor keeps it from stopping", async () => {
  await using server = await startEmbeddedPostgres();
  await using kinesis = await startKinesalite();
  await using db = await freshDatabase(server);
  await db.sql("create table t (id int primary key)");
  await db.createSlot("test_decoding");
  const stream = freshStreamName();
  await kinesis.createStream(stream);
  const flags = [...flagsFor(db, stream), "--log-level", "debug"];
  const child = start(filling(2), flags, kinesis.env, { stderr: "piped" });
  try {
    for (const id of [1, 2, 3]) {
      await db.sql(`insert into t values (${id})`);
      await waitUntilConfirmed(db);
    }
    child.kill("SIGTERM");
    assertEquals(await codeOf(child), 0);
  } finally {
    await child.stderr.cancel();
  }
});

Deno.test("a log on a full disk neither stops a run nor changes its exit code", {
  ignore: !isLinux,
}, async () => {
  await using server = await startEmbeddedPostgres();
  await using kinesis = await startKinesalite();
  await using db = await freshDatabase(server);
  await db.sql("create table t (id int primary key)");
  await db.createSlot("test_decoding");
  const stream = freshStreamName();
  await kinesis.createStream(stream);
  for (const shell of [`exec "$0" "$@" 2>${DEVICE_FULL}`, `exec "$0" "$@" 2>&-`]) {
    const child = start(shell, flagsFor(db, stream), kinesis.env);
    await db.sql("insert into t values ((select count(*) from t))");
    await waitUntilConfirmed(db);
    child.kill("SIGTERM");
    assertEquals(await codeOf(child), 0);
    assertEquals(await codeOf(start(shell, ["--nonesuch"], {})), 2);
    assertEquals(await codeOf(start(shell, ["-f", "./none.js", "-d", "d"], {})), 2);
  }
});

Deno.test("a full disk behind stdout is one true line, and exit code 1", {
  ignore: !isLinux,
}, async () => {
  await using kinesis = await startKinesalite();
  const stream = freshStreamName();
  await kinesis.createStream(stream);
  await putPlain(kinesis, stream, { key: "k", data: "x".repeat(300_000) });
  for (
    const args of [
      ["--version"],
      ["--help"],
      ["check", "-h", "127.0.0.1", "-p", "1", "-d", "d", "-u", "u", "-k", stream],
      ["check", "--json", "-h", "127.0.0.1", "-p", "1", "-d", "d", "-u", "u", "-k", stream],
      ["tail", "-k", stream, "--from", "oldest"],
    ]
  ) {
    const child = start(`exec "$0" "$@" >${DEVICE_FULL}`, args, kinesis.env, { stderr: "piped" });
    const stderr = await new Response(child.stderr).text();
    assertEquals(await codeOf(child), 1, `${args}: ${stderr}`);
    const [line, ...more] = stderr.trimEnd().split("\n").filter((each) => !/ INFO /.test(each));
    assertMatch(line!, /cannot write to stdout: no space is left there; free some, or /, `${args}`);
    assertEquals(more, []);
  }
});

Deno.test("SIGINT ends what nobody reads the output of", { ignore: !isLinux }, async () => {
  await using kinesis = await startKinesalite();
  const stream = freshStreamName();
  await kinesis.createStream(stream);
  await putPlain(kinesis, stream, { key: "k", data: "x".repeat(300_000) });
  for (
    const args of [
      ["check", "-h", "127.0.0.1", "-p", "1", "-d", "d", "-u", "u", "-k", stream],
      ["tail", "-k", stream, "--from", "oldest", "--follow"],
    ]
  ) {
    const child = start(filling(1), args, kinesis.env, { stdout: "piped" });
    await waitFor(() => isWriting(child.pid), { what: `${args[0]} to wait for its reader` });
    child.kill("SIGINT");
    assert([0, 1].includes(await codeOf(child)));
    await child.stdout.cancel();
  }
});

/** Whether a thread of the process waits in a write to a pipe. */
function isWriting(pid: number): boolean {
  return [...Deno.readDirSync(`/proc/${pid}/task`)].some(({ name }) =>
    /pipe_write/.test(Deno.readTextFileSync(`/proc/${pid}/task/${name}/wchan`))
  );
}

Deno.test(
  "a terminal that Ctrl-S has stopped does not stop a run, nor keep Ctrl-C from ending it",
  {
    ignore: !hasTmux(),
  },
  async () => {
    await using server = await startEmbeddedPostgres();
    await using kinesis = await startKinesalite();
    await using db = await freshDatabase(server);
    await db.sql("create table t (id int primary key)");
    await db.createSlot("test_decoding");
    const stream = freshStreamName();
    await kinesis.createStream(stream);
    const { command, args } = programCommand([...flagsFor(db, stream), "--log-level", "debug"]);
    await using terminal = await Terminal.start(command, args, {
      columns: 100,
      rows: 40,
      env: { ...environment(), ...kinesis.env },
    });
    const text = async () => (await terminal.lines()).join("\n");
    await waitFor(async () => (await text()).includes("changes/s"), { what: "the status line" });
    await terminal.press("C-s");
    for (const id of [1, 2, 3]) {
      await db.sql(`insert into t values (${id})`);
      await waitUntilConfirmed(db);
    }
    await terminal.press("C-c");
    await waitFor(
      async () => (await db.sql("select 1 from pg_replication_slots where active")).length === 0,
      { what: "the run to end" },
    );
    await terminal.press("C-q");
    await waitFor(async () => (await text()).includes("exit code 0"), {
      what: "the end",
      found: text,
    });
  },
);
