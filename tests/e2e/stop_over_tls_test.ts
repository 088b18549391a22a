import { assertEquals, assertMatch } from "@std/assert";
import { Authority, hasOpenssl, NO_OPENSSL } from "../support/certificates.ts";
import { Proxy } from "../support/proxy.ts";
import { startEmbeddedPostgres } from "../support/embedded_postgres.ts";
import { startKinesalite } from "../support/kinesalite.ts";
import { Pg2kinesis } from "../support/pg2kinesis.ts";
import { freshDatabase } from "../support/shared_postgres.ts";
import { waitFor } from "../support/wait.ts";
import { flagsFor, freshStreamName, waitUntilConfirmed } from "../support/following_program.ts";

const ignore = !hasOpenssl();
if (ignore) console.warn(NO_OPENSSL);

// On Deno 2.4 a TLS connection that is destroyed tells nobody of its end. `.ci/run` runs this with
// the executable too.
Deno.test("over TLS, SIGTERM stops what waits for PostgreSQL", { ignore }, async (t) => {
  const authority = await Authority.create("Stop");
  await using server = await startEmbeddedPostgres({
    tls: await authority.sign("server", ["DNS:localhost"]),
  });
  await using kinesis = await startKinesalite();
  const stream = freshStreamName();
  await kinesis.createStream(stream);
  const tls = ["--pg-sslmode", "require"];

  await t.step("while a slot waits for an open transaction", async () => {
    await using db = await freshDatabase(server);
    const holder = await server.connect({ database: db.database });
    try {
      await holder.query("begin; select pg_current_xact_id()");
      const flags = [...flagsFor(db, stream), ...tls, "--create-slot"];
      await using program = await Pg2kinesis.start(flags, { env: kinesis.env });
      const [waiting] = await waitFor(async () => {
        const rows = await db.sql(
          `select ssl from pg_replication_slots
             join pg_stat_ssl on pid = active_pid`,
        );
        return rows.length === 1 ? rows : undefined;
      }, { what: "the slot to be made" });
      assertEquals(waiting!.ssl, true);
      assertEquals(await program.stop(), 0, program.stderr);
      assertMatch(program.stderr, /SIGTERM: stopping/);
      await waitFor(async () => (await db.sql("select from pg_replication_slots")).length === 0, {
        what: "the server to give the slot up",
      });
    } finally {
      await holder.end();
    }
  });

  await t.step("while the server has gone silent, on the way and once followed", async () => {
    await using db = await freshDatabase(server);
    await db.createSlot("test_decoding");
    // It falls silent after so many answers; undefined: once the slot is followed.
    for (const answers of [1, 2, 3, 4, 6, 8, 10, 14, undefined]) {
      using proxy = new Proxy(server);
      let seen = 0;
      proxy.beforeAnswer = () => {
        if (++seen === answers) proxy.stall();
      };
      const flags = flagsFor(db, stream);
      flags[flags.indexOf("-p") + 1] = String(proxy.port);
      await using program = await Pg2kinesis.start(
        [...flags, ...tls, "--pg-timeout", "0"],
        { env: kinesis.env },
      );
      if (answers === undefined) {
        await program.waitForLog(/following slot/);
        await waitUntilConfirmed(db, program);
        proxy.stall();
      } else {
        await waitFor(() => seen >= answers, { what: `${answers} answers of the server` });
      }
      assertEquals(await program.stop(), 0, `after ${answers} answers: ${program.stderr}`);
    }
  });
});
