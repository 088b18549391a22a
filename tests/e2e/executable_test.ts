import { assertEquals } from "@std/assert";
import { join } from "@std/path";
import { startEmbeddedPostgres } from "../support/embedded_postgres.ts";
import { startKinesalite } from "../support/kinesalite.ts";
import { Pg2kinesis } from "../support/pg2kinesis.ts";
import { readBack } from "../support/read_back.ts";
import { freshDatabase } from "../support/shared_postgres.ts";
import { freshStreamName, waitUntilConfirmed } from "./setup.ts";

const ignore = !Deno.env.get("PG2KINESIS_BIN");
if (ignore) {
  console.warn("skipped: PG2KINESIS_BIN names no executable (deno task build; .ci/run does both)");
}

/** A formatter of someone else's, which tries what an executable has no business to do. */
const NOSY_FORMATTER = `
  const attempts = {
    run: () => new Deno.Command("true").outputSync(),
    write: (outside) => Deno.writeTextFileSync(outside, "x"),
    ffi: () => Deno.dlopen("libc.so.6", {}),
    hostname: () => Deno.hostname(),
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
      ], { env: kinesis.env });
      await program.waitForLog(/following slot/);
      await db.sql("insert into t values (1, $1)", [join(directory, "written")]);
      await waitUntilConfirmed(db, program);
      assertEquals(await program.stop(), 0);
      const { records } = await readBack(kinesis.client, stream);
      assertEquals(records.map(({ text }) => JSON.parse(text)), [[
        ["run", "NotCapable"],
        ["write", "NotCapable"],
        ["ffi", "NotCapable"],
        ["hostname", "NotCapable"],
      ]]);
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
});
