import { connect } from "../../src/postgres/connection/connection.ts";
import { follow } from "../support/following_program.ts";
import { postgresOptions } from "../support/postgres_options.ts";
import { waitFor } from "../support/wait.ts";
import { type Broken, sql } from "./broken_world.ts";
import { SETTINGS, STREAM, type World } from "./checked_world.ts";

const PLUGIN = "--pg-slot-output-plugin";
const PGOUTPUT = [PLUGIN, "pgoutput"];

/** Serves the slot to a client that does not come back when it is ended. */
async function holdSlot({ db }: World): Promise<AsyncDisposable> {
  const options = postgresOptions(db.server, { database: db.database });
  const connection = await connect(options, "replication");
  connection.client.query(`START_REPLICATION SLOT "${db.slot}" LOGICAL 0/0`).catch(() => {});
  await waitFor(
    async () => (await db.sql("select from pg_replication_slots where active")).length > 0,
    { what: "the slot to be active" },
  );
  return { [Symbol.asyncDispose]: () => Promise.resolve(connection.destroy()) };
}

/** All but those of tables and publications. */
export const BROKEN_SETUPS: readonly Broken[] = [
  {
    what: "wal_level is not logical",
    server: { settings: { wal_level: "replica", ...SETTINGS } },
    slot: null,
    flags: ["--create-slot"],
    finding: ["wal_level", "✗", /wal_level of .* is replica/],
    stopsAtStart: true,
  },
  {
    what: "a role without REPLICATION",
    broken: sql((db) => `create role ${db.slot} login`),
    flags: ["-u", "@slot"],
    finding: ["role", "✗", /may not replicate/],
    stopsAtStart: true,
  },
  {
    what: "a role without REPLICATION on Amazon RDS",
    server: { settings: SETTINGS },
    broken: sql((db) => `create role rds_replication; create role ${db.slot} login`),
    flags: ["-u", "@slot"],
    finding: ["role", "✗", /may not replicate/],
  },
  {
    what: "a role that may write no heartbeat",
    broken: sql((db) =>
      `create role ${db.slot} login replication;
       revoke execute on function pg_logical_emit_message(boolean, text, text, boolean) from public`
    ),
    flags: ["-u", "@slot", "--heartbeat", "1m"],
    finding: ["heartbeat", "!", /may not write heartbeats/],
    psql: true,
  },
  {
    what: "a role that is not there",
    flags: ["-u", "@slot"],
    finding: ["connection", "✗", /role ".*" does not exist/],
    stopsAtStart: true,
  },
  {
    what: "a role that may not log in",
    broken: sql((db) => `create role ${db.slot} nologin replication`),
    flags: ["-u", "@slot"],
    finding: ["connection", "✗", /is not permitted to log in/],
    stopsAtStart: true,
  },
  {
    what: "a role that may not connect to the database",
    broken: sql((db) =>
      `create role ${db.slot} login replication; revoke connect on database ${db.database} from public`
    ),
    flags: ["-u", "@slot"],
    finding: ["connection", "✗", /permission denied for database/],
    stopsAtStart: true,
  },
  {
    what: "a role whose CONNECTION LIMIT is used up",
    broken: sql((db) => `create role ${db.slot} login replication connection limit 0`),
    flags: ["-u", "@slot"],
    finding: ["connection", "✗", /the role's own CONNECTION LIMIT is used up/],
    stopsAtStart: true,
  },
  {
    what: "a database whose CONNECTION LIMIT is used up",
    broken: sql((db) =>
      `create role ${db.slot} login replication; alter database ${db.database} connection limit 0`
    ),
    flags: ["-u", "@slot"],
    finding: ["connection", "✗", /the database's own CONNECTION LIMIT is used up/],
    stopsAtStart: true,
  },
  {
    what: "pg_hba.conf lets nobody in",
    server: { hba: ["host all postgres 127.0.0.1/32 trust"], settings: SETTINGS },
    broken: (world) => {
      world.env.PGPASSWORD = "let me in";
      return world.db.sql(
        `create role ${world.db.slot} login replication password 'let me in'`,
      );
    },
    flags: ["-u", "@slot"],
    finding: ["connection", "✗", /pg_hba\.conf .* admits nobody/],
    stopsAtStart: true,
  },
  {
    what: "no slot",
    slot: null,
    finding: ["slot", "✗", /there is no replication slot/],
    stopsAtStart: true,
  },
  {
    what: "a slot of another plugin",
    slot: "test_decoding",
    broken: sql((db) => `create publication ${db.slot} for table t`),
    flags: PGOUTPUT,
    finding: ["slot", "✗", /plugin test_decoding in database/],
    stopsAtStart: true,
  },
  {
    what: "a slot that is active elsewhere",
    broken: holdSlot,
    finding: ["slot", "✗", /is active: the server's process \d+ serves it/],
    stopsAtStart: true,
  },
  {
    what: "a slot that decodes prepared transactions",
    slot: null,
    broken: sql((db) =>
      `select pg_create_logical_replication_slot('${db.slot}', 'test_decoding', false, true)`
    ),
    finding: ["slot", "✗", /two_phase/],
    stopsAtStart: true,
  },
  {
    what: "a slot whose WAL was removed",
    server: { settings: { max_slot_wal_keep_size: "1MB", max_wal_size: "32MB" } },
    broken: async ({ db }) => {
      for (let i = 0; i < 4; i++) {
        await db.sql(
          "insert into t select 1000 + n + $1::int * 100000, repeat('x', 500) from generate_series(1, 60000) n",
          [i],
        );
        await db.sql("select pg_switch_wal()");
        await db.sql("checkpoint");
      }
    },
    finding: ["slot", "✗", /is lost/],
    stopsAtStart: true,
  },
  {
    what: "no slot left",
    server: { settings: { max_replication_slots: 1, ...SETTINGS } },
    slot: null,
    flags: ["--create-slot"],
    broken: sql(() => "select pg_create_physical_replication_slot('somebody_elses')"),
    finding: [
      "slots_left",
      "✗",
      /all 1 replication slots are taken \(not in use: somebody_elses\)/,
    ],
    stopsAtStart: true,
  },
  {
    what: "no walsender left",
    server: { settings: { max_wal_senders: 1, ...SETTINGS } },
    broken: async ({ db, aws }) => {
      await db.sql("select pg_create_logical_replication_slot('other', 'test_decoding')");
      return await follow({ ...db, slot: "other" }, aws.kinesis, STREAM);
    },
    finding: ["wal_senders", "✗", /all max_wal_senders are in use/],
    stopsAtStart: true,
  },
  {
    what: "a database in another encoding",
    database: "encoding 'LATIN1' locale 'C' template template0",
    slot: null,
    flags: ["--create-slot"],
    broken: sql((db) => `create publication ${db.slot} for table t`),
    finding: ["encoding", "✗", /encoded in LATIN1/],
    stopsAtStart: true,
  },
  {
    what: "a wal_sender_timeout that is off",
    server: { settings: { wal_sender_timeout: 0, ...SETTINGS } },
    finding: ["wal_sender_timeout", "!", /is off/],
  },
  {
    what: "a short wal_sender_timeout of the role",
    broken: sql((db) =>
      `create role ${db.slot} login replication; alter role ${db.slot} set wal_sender_timeout = '1s'`
    ),
    flags: ["-u", "@slot"],
    finding: ["wal_sender_timeout", "!", /is 1000 ms/],
  },
  {
    what: "WAL that is retained without limit",
    server: {},
    finding: ["max_slot_wal_keep_size", "!", /is unlimited/],
  },
  {
    what: "a timeout of idle slots",
    server: { settings: { idle_replication_slot_timeout: "1d", ...SETTINGS } },
    finding: ["idle_replication_slot_timeout", "!", /not used for 86400 s is lost/],
  },
  {
    what: "an open transaction that the new slot must wait for",
    slot: null,
    flags: ["--create-slot"],
    broken: async ({ db }) => {
      const client = await db.server.connect({ database: db.database });
      client.on("error", () => {});
      await client.query("begin; insert into t values (77)");
      return { [Symbol.asyncDispose]: () => client.end() };
    },
    finding: [
      "transactions",
      "!",
      /1 open transaction, creating the slot waits .* process \d+ of .*; ending one rolls it back$/,
    ],
  },
  {
    what: "a prepared transaction that the new slot must wait for",
    slot: null,
    flags: ["--create-slot"],
    broken: ({ db }) => db.sql("begin; insert into t values (78); prepare transaction 'it''s'"),
    finding: ["transactions", "!", /prepared "it's" of/],
  },
  {
    what: "a failover slot on a server that has none",
    wal2json: true,
    slot: null,
    flags: ["--create-slot", "--slot-failover"],
    finding: ["slot_failover", "✗", /PostgreSQL 15\.\d+.* has no failover slots/],
    stopsAtStart: true,
  },
  {
    what: "a slot that exists and is no failover slot",
    flags: ["--create-slot", "--slot-failover"],
    psql: true,
    finding: ["slot_failover", "!", /exists but is no failover slot/],
  },
  {
    what: "a slot that keeps more WAL than --max-lag-bytes",
    flags: ["--max-lag-bytes", "1MB", "--on-max-lag", "stop"],
    broken: sql(() =>
      "insert into t select 1000 + n, repeat('x', 500) from generate_series(1, 9000) n"
    ),
    finding: ["max_lag", "✗", /more than the 1\.00 MiB of --max-lag-bytes, which stops the run/],
  },
  {
    what: "a port for metrics that is taken",
    broken: (world) => {
      const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
      world.flags.push("--metrics-addr", `127.0.0.1:${listener.addr.port}`);
      return Promise.resolve({
        [Symbol.asyncDispose]: () => Promise.resolve(listener.close()),
      });
    },
    finding: ["metrics_addr", "✗", /cannot listen on 127\.0\.0\.1:\d+: the port is in use/],
    stopsAtStart: true,
  },
  {
    what: "no stream",
    flags: ["-k", "no-such-stream"],
    finding: ["stream", "✗", /there is no stream no-such-stream in us-east-1/],
    stopsAtStart: true,
  },
  {
    what: "no AWS region",
    broken: (world) => Promise.resolve(delete world.env.AWS_REGION),
    finding: ["aws_settings", "✗", /no AWS region found/],
    stopsAtStart: true,
  },
  {
    what: "no AWS credentials",
    broken: (world) => {
      delete world.env.AWS_ACCESS_KEY_ID;
      delete world.env.AWS_SECRET_ACCESS_KEY;
      return Promise.resolve();
    },
    finding: ["aws_settings", "✗", /no AWS credentials found/],
    stopsAtStart: true,
  },
  ...["DescribeStreamSummary", "ListShards", "PutRecord", "PutRecords"].map((denied): Broken => ({
    what: `kinesis:${denied} is not allowed`,
    flags: denied === "PutRecords" ? ["--aggregation", "none"] : [],
    broken: ({ aws }) => {
      const all = ["DescribeStreamSummary", "ListShards", "PutRecord", "PutRecords"];
      const Action = all.filter((name) => name !== denied).map((name) => `kinesis:${name}`);
      aws.policy = [{
        Action,
        Resource: `arn:aws:kinesis:us-east-1:123456789012:stream/${STREAM}`,
      }];
      return Promise.resolve();
    },
    finding: [
      { DescribeStreamSummary: "stream", ListShards: "shards" }[denied] ?? "permissions",
      "✗",
      new RegExp(`not authorized to perform: kinesis:${denied};? allow|; allow kinesis:${denied}`),
    ],
    ...denied.startsWith("Put") ? {} : { stopsAtStart: true as const },
  })),
];
