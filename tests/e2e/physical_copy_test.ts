import { assert, assertEquals, assertRejects } from "@std/assert";
import pg from "pg";
import {
  findDebianPostgres,
  NO_DEBIAN_POSTGRES,
  startDebianPostgres,
} from "../support/debian_postgres.ts";
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

const ROLE = "follower";
/** What SECURITY.md advises, and what it says of it. */
const REJECTED = `host replication ${ROLE} all reject`;

const noDebian = findDebianPostgres() === undefined;
if (noDebian) console.warn(NO_DEBIAN_POSTGRES);
const servers = [
  { version: "18", start: startEmbeddedPostgres, ignore: false },
  { version: "15", start: startDebianPostgres, ignore: noDebian },
];

for (const { version, start, ignore } of servers) {
  Deno.test({
    name:
      `a role with REPLICATION may copy the whole cluster, reject keeps out the tools: ${version}`,
    ignore,
    fn: async () => {
      await using server = await start({
        hba: [REJECTED, `host all ${ROLE} all trust`, "host all,replication postgres all trust"],
      });
      await using kinesis = await startKinesalite();
      await using db = await freshDatabase(server);
      await db.sql(`create role ${ROLE} login replication; create table t (id int primary key)`);
      await db.createSlot("test_decoding");

      // pg_basebackup and standbys connect like this.
      const refused = await assertRejects(() => connectAs("true"), Error, "pg_hba.conf rejects");
      assertEquals((refused as { code?: string }).code, "28000");

      // A run does not, and so it works.
      const stream = freshStreamName();
      await kinesis.createStream(stream);
      const flags = flagsFor(db, stream);
      flags[flags.indexOf("-u") + 1] = ROLE;
      await using program = await Pg2kinesis.start(flags, { env: kinesis.env });
      await program.waitForLog(/following slot/);
      await db.sql("insert into t values (1)");
      await waitUntilConfirmed(db, program);
      assertEquals((await storedTexts(kinesis, stream)).length, 1);
      assertEquals(await program.stop(), 0, program.stderr);

      // But whoever has the role's password may connect as a run does, and ask for what pg_basebackup does.
      const client = await connectAs("database");
      try {
        let bytes = 0;
        const { stream } = (client as unknown as { connection: pg.Connection }).connection;
        stream.on("data", (chunk: Uint8Array) => bytes += chunk.length);
        await client.query("BASE_BACKUP (CHECKPOINT 'fast')");
        assert(bytes > 10_000_000, `${bytes} bytes are no cluster`);
      } finally {
        await client.end();
      }

      async function connectAs(replication: string): Promise<pg.Client> {
        const client = new pg.Client({
          host: server.host,
          port: server.port,
          user: ROLE,
          database: db.database,
          replication,
        } as pg.ClientConfig);
        await client.connect();
        return client;
      }
    },
  });
}
