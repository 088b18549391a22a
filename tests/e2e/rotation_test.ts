import { assertEquals } from "@std/assert";
import { join } from "node:path";
import { Authority, hasOpenssl, NO_OPENSSL } from "../support/certificates.ts";
import { startEmbeddedPostgres } from "../support/embedded_postgres.ts";
import { startKinesalite } from "../support/kinesalite.ts";
import { Pg2kinesis } from "../support/pg2kinesis.ts";
import { freshDatabase } from "../support/shared_postgres.ts";
import {
  flagsFor,
  freshStreamName,
  storedTexts,
  waitUntilConfirmed,
} from "../support/following_program.ts";

const ignore = !hasOpenssl();
if (ignore) console.warn(NO_OPENSSL);

Deno.test("a run outlives a new password and a new certificate of another authority", {
  ignore,
}, async () => {
  const [first, second] = [await Authority.create("First"), await Authority.create("Second")];
  const dir = await Deno.makeTempDir({ prefix: "pg2k_rotation_" });
  await using server = await startEmbeddedPostgres({
    tls: await first.sign("server", ["DNS:localhost"]),
    hba: ["hostssl all rotated 127.0.0.1/32 scram-sha-256"],
  });
  try {
    const bundle = join(dir, "bundle.pem");
    const passwords = join(dir, "pgpass");
    await server.sql("create role rotated login replication password 'old'");
    await Deno.writeTextFile(bundle, first.cert);
    await Deno.writeTextFile(passwords, "localhost:*:*:rotated:old\n", { mode: 0o600 });
    await using kinesis = await startKinesalite();
    await using db = await freshDatabase(server);
    await db.sql("create table t (id int primary key)");
    await db.createSlot("test_decoding");
    const stream = freshStreamName();
    await kinesis.createStream(stream);
    const flags = flagsFor(db, stream);
    flags[flags.indexOf("-h") + 1] = "localhost";
    flags[flags.indexOf("-u") + 1] = "rotated";
    await using program = await Pg2kinesis.start(
      [...flags, "--pg-sslmode", "verify-full", "--pg-sslrootcert", bundle],
      { env: { ...kinesis.env, PGPASSFILE: passwords } },
    );
    await program.waitForLog(/following slot/);

    const { cert, key } = await second.sign("server", ["DNS:localhost"]);
    await Deno.writeTextFile(join(server.dataDir, "server.crt"), cert);
    await Deno.writeTextFile(join(server.dataDir, "server.key"), key);
    await server.sql("alter role rotated password 'new'");
    await Deno.writeTextFile(bundle, second.cert);
    await Deno.writeTextFile(passwords, "localhost:*:*:rotated:new\n");
    await server.restart();
    await program.waitForLog(/connected again/);
    await db.sql("insert into t values (1)");
    await waitUntilConfirmed(db, program);
    assertEquals((await storedTexts(kinesis, stream)).length, 1);
    assertEquals(await program.stop(), 0, program.stderr);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
