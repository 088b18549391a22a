import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { join } from "node:path";
import { startEmbeddedPostgres } from "../support/embedded_postgres.ts";
import { startKinesalite } from "../support/kinesalite.ts";
import { get, telemetryUrl } from "../support/metrics.ts";
import { Pg2kinesis } from "../support/pg2kinesis.ts";
import { readBack } from "../support/read_back.ts";
import { freshDatabase } from "../support/shared_postgres.ts";
import { flagsFor, freshStreamName, waitUntilConfirmed } from "../support/following_program.ts";

const ignore = !Deno.env.get("PG2KINESIS_BIN");
if (ignore) {
  console.warn("skipped: PG2KINESIS_BIN names no executable (deno task build; .ci/run does both)");
}

/** A formatter of someone else's, which tries what an executable has no business to do. */
const NOSY_FORMATTER = `
  import { spawnSync } from "node:child_process";
  import { appendFileSync } from "node:fs";
  import { connect } from "node:net";
  const attempts = {
    run: () => new Deno.Command("true").outputSync(),
    spawn: () => {
      // Node's function tells of a refusal by giving no status.
      if (spawnSync("true").status !== 0) throw new Error();
    },
    kill: () => Deno.kill(Deno.ppid, "SIGCONT"),
    write: (outside) => Deno.writeTextFileSync(outside, "x"),
    append: (outside) => appendFileSync(outside, "x"),
    makeDir: (outside) => Deno.mkdirSync(outside),
    remove: (outside) => Deno.removeSync(outside.replace(/written$/, "nosy.js")),
    // A way out of the sockets' folder, if it were one.
    link: (outside) => Deno.symlinkSync(outside, "/tmp/pg2k_nosy_link"),
    write_etc: () => Deno.writeTextFileSync("/etc/pg2k_nosy", "x"),
    write_home: () => Deno.writeTextFileSync(Deno.env.get("HOME").replace(/^\\/tmp/, "/var/tmp") + "_x", "x"),
    ffi: () => Deno.dlopen("libc.so.6", {}),
    hostname: () => Deno.hostname(),
    // What it may do, since the process may.
    readSecret: () => {
      if (Deno.env.get("PGPASSWORD") !== "of the process") throw new Error();
    },
    readFile: () => Deno.readTextFileSync("/etc/passwd"),
    listen: () => Deno.listen({ hostname: "127.0.0.1", port: 0 }).close(),
    connect: () => connect(1, "127.0.0.1").on("error", () => {}).destroy(),
  };
  export default (change) => {
    const outside = change.newRow[1].value;
    const outcome = (attempt) => {
      try {
        attempt(outside);
        return "allowed";
      } catch (error) {
        return error.name;
      }
    };
    return JSON.stringify(Object.entries(attempts).map(([name, attempt]) => [name, outcome(attempt)]));
  };`;

Deno.test({
  name:
    "the executable takes a formatter from disk and a Unix socket, and may do nothing beyond its job",
  ignore,
  fn: async () => {
    await using server = await startEmbeddedPostgres();
    await using kinesis = await startKinesalite();
    await using db = await freshDatabase(server);
    // Not below /tmp, where PostgreSQL's sockets are.
    const directory = await Deno.makeTempDir({ dir: "/var/tmp", prefix: "pg2k_nosy_" });
    try {
      const formatter = join(directory, "nosy.js");
      await Deno.writeTextFile(formatter, NOSY_FORMATTER);
      const stream = freshStreamName();
      await kinesis.createStream(stream);
      await db.sql("create table t (id integer primary key, path text)");
      await db.createSlot("test_decoding");
      // deno-fmt-ignore
      await using program = await Pg2kinesis.start([
        "-h", server.socketDir, "-p", String(server.port), "-u", server.superuser,
        "-d", db.database, "-s", db.slot, "-k", stream, "--message-formatter", formatter,
      ], { env: { ...kinesis.env, PGPASSWORD: "of the process" } });
      await program.waitForLog(/following slot/);
      await db.sql("insert into t values (1, $1)", [join(directory, "written")]);
      await waitUntilConfirmed(db, program);
      assertEquals(await program.stop(), 0);
      const { records } = await readBack(kinesis.client, stream);
      assertEquals(records.map(({ text }) => JSON.parse(text)), [[
        ["run", "NotCapable"],
        ["spawn", "Error"],
        ["kill", "NotCapable"],
        ["write", "NotCapable"],
        ["append", "NotCapable"],
        ["makeDir", "NotCapable"],
        ["remove", "NotCapable"],
        ["link", "NotCapable"],
        ["write_etc", "NotCapable"],
        ["write_home", "NotCapable"],
        ["ffi", "NotCapable"],
        ["hostname", "NotCapable"],
        ["readSecret", "allowed"],
        ["readFile", "allowed"],
        ["listen", "allowed"],
        ["connect", "allowed"],
      ]]);
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
});

Deno.test({
  name: "the executable says nothing but its own when it looks up a host's name",
  ignore,
  fn: async () => {
    await using kinesis = await startKinesalite();
    const stream = freshStreamName();
    await kinesis.createStream(stream);
    await using program = await Pg2kinesis.start(
      ["-h", "localhost", "-p", "1", "-d", "d", "-u", "u", "-k", stream],
      { env: kinesis.env },
    );
    await program.waitForLog(/localhost:1/);
    for (const line of program.stderr.trim().split("\n")) assertMatch(line, /^\S+ (INFO|ERROR) /);
  },
});

Deno.test({
  name: "the executable says that a socket is not there, or where it may not use one",
  ignore,
  fn: async () => {
    await using kinesis = await startKinesalite();
    const stream = freshStreamName();
    await kinesis.createStream(stream);
    const folder = await Deno.makeTempDir({ dir: "/tmp", prefix: "pg2k_sockets_" });
    const cases: readonly (readonly [folder: string, why: string])[] = [
      [folder, "there is no such socket; check --pg-host and --pg-port"],
      [
        "/nonesuch",
        "this executable may use sockets in /var/run/postgresql, /run/postgresql, /tmp",
      ],
    ];
    try {
      for (const [host, why] of cases) {
        const { code, stderr } = await Pg2kinesis.run(
          ["-h", host, "-d", "d", "-u", "u", "-k", stream],
          { env: kinesis.env },
        );
        assertEquals(code, 1, stderr);
        assertStringIncludes(stderr, `at ${host}/.s.PGSQL.5432 (database "d", role "u"): ${why}`);
      }
    } finally {
      await Deno.remove(folder);
    }
  },
});

Deno.test({
  name: "the executable, which cannot read TypeScript, says so of a formatter",
  ignore,
  fn: async () => {
    await using program = await Pg2kinesis.start(["-f", "./format.ts"]);
    assertEquals(await program.waitForExit(), 2);
    assertMatch(
      program.stderr,
      /is TypeScript, which the executable cannot load; give a \.js module/,
    );
  },
});

Deno.test({
  name: "the executable names no place of its own where a formatter imports what is not there",
  ignore,
  fn: async () => {
    const folder = await Deno.makeTempDir({ prefix: "pg2k_format_" });
    try {
      const path = join(folder, "format.js");
      await Deno.writeTextFile(path, 'import "./missing.js"; export default () => "x";');
      const { code, stderr } = await Pg2kinesis.run(["-d", "d", "-u", "u", "-f", path]);
      assertEquals(code, 1, stderr);
      assertMatch(stderr, /format\.js: TypeError: Module not found.*missing\.js\S*$/m);
      assertEquals(stderr.includes("/src/"), false, stderr);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

Deno.test({
  name: "the executable runs without a HOME, as a service may",
  ignore,
  fn: async () => {
    await using server = await startEmbeddedPostgres();
    await using kinesis = await startKinesalite();
    await using db = await freshDatabase(server);
    const stream = freshStreamName();
    await kinesis.createStream(stream);
    await db.createSlot("test_decoding");
    await using program = await Pg2kinesis.start(flagsFor(db, stream), {
      env: { ...kinesis.env, HOME: "" },
    });
    await program.waitForLog(/following slot/);
    assertEquals(await program.stop(), 0, program.stderr);
  },
});

Deno.test({
  name: "the executable has the page of --metrics-addr in it",
  ignore,
  fn: async () => {
    await using server = await startEmbeddedPostgres();
    await using kinesis = await startKinesalite();
    await using db = await freshDatabase(server);
    const stream = freshStreamName();
    await kinesis.createStream(stream);
    await db.createSlot("test_decoding");
    await using program = await Pg2kinesis.start(
      [...flagsFor(db, stream), "--metrics-addr", "0"],
      { env: kinesis.env },
    );
    const url = await telemetryUrl(program);
    await program.waitForLog(/following slot/);
    for (const file of ["index.html", "page.css", "page.js"]) {
      const { status, text } = await get(url + (file === "index.html" ? "" : file));
      const source = new URL(`../../src/telemetry/page/${file}`, import.meta.url);
      assertEquals([status, text], [200, await Deno.readTextFile(source)], file);
    }
    assertMatch((await get(`${url}metrics`)).text, /^pg2kinesis_lanes 1$/m);
    assertEquals((await get(`${url}healthz`)).text, "ok\n");
    assertEquals(await program.stop(), 0, program.stderr);
  },
});

Deno.test({
  name:
    "the executable keeps no code in the folder for temporary files, where others could put some",
  ignore,
  fn: async () => {
    const tmp = await Deno.makeTempDir({ prefix: "pg2k_tmp_" });
    // Deno would keep the code that such a run compiles in a file there, for the next one to run.
    const refused = ["-h", "127.0.0.1", "-p", "1", "-d", "d", "-u", "u", "-k", "s"];
    const env = {
      TMPDIR: tmp,
      AWS_REGION: "eu-central-1",
      AWS_ACCESS_KEY_ID: "a",
      AWS_SECRET_ACCESS_KEY: "b",
      AWS_ENDPOINT_URL: "http://127.0.0.1:1",
    };
    try {
      for (let run = 1; run <= 2; run++) {
        const { code, stderr } = await Pg2kinesis.run(refused, { env });
        assertEquals(code, 1);
        assertMatch(stderr, /connection refused/);
        assertEquals([...Deno.readDirSync(tmp)], []);
      }
    } finally {
      await Deno.remove(tmp, { recursive: true });
    }
  },
});
