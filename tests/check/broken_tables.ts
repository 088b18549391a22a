import { type Broken, sql } from "./broken_world.ts";
import { SETTINGS } from "./checked_world.ts";

const PLUGIN = "--pg-slot-output-plugin";
const PGOUTPUT = [PLUGIN, "pgoutput"];

/** Tables, or publications of them, with something wrong. */
export const BROKEN_TABLES: readonly Broken[] = [
  {
    what: "no publication, and no slot yet",
    slot: null,
    flags: [...PGOUTPUT, "--create-slot"],
    finding: ["publication", "✗", /there is no publication/],
    stopsAtStart: true,
  },
  {
    what: "no publication, and a slot that is older than any to come",
    slot: "pgoutput",
    flags: PGOUTPUT,
    finding: ["publication", "✗", /cannot read one created after it/],
    stopsAtStart: true,
  },
  {
    what: "a publication that is younger than the slot",
    slot: "pgoutput",
    flags: PGOUTPUT,
    broken: sql((db) => `create publication ${db.slot} for table t`),
    finding: ["publication", "!", /made or changed after changes that the slot has still to read/],
  },
  {
    what: "a publication that leaves a table out",
    slot: "pgoutput",
    flags: PGOUTPUT,
    broken: sql((db) =>
      `create table "left Out" (id int primary key); create table plain (id int);
       create publication ${db.slot} for table t;
       select pg_drop_replication_slot('${db.slot}');
       select pg_create_logical_replication_slot('${db.slot}', 'pgoutput')`
    ),
    finding: [
      "publication",
      "!",
      /2 tables that the flags ask for, public\.left Out, public\.plain/,
    ],
  },
  {
    what: "a publication that leaves out deletes",
    slot: null,
    flags: [...PGOUTPUT, "--create-slot"],
    broken: sql((db) =>
      `create publication ${db.slot} for table t with (publish = 'insert, update')`
    ),
    finding: ["publication", "!", /leaves out every delete and every truncate/],
  },
  {
    what: "a publication whose table could not be updated if that were published",
    slot: null,
    flags: [...PGOUTPUT, "--create-slot"],
    broken: async ({ db }) => {
      await db.sql("create table of_parts (id int) partition by range (id)");
      await db.sql("create table part partition of of_parts default");
      await db.sql("create table plain (id int)");
      await db.sql(
        `create publication ${db.slot} for table t, plain, of_parts
           with (publish = 'insert', publish_via_partition_root)`,
      );
      await db.sql("insert into plain values (1)");
      await db.sql("insert into of_parts values (1)");
    },
    finding: ["publication", "!", /leaves out every update and every delete/],
    // The application's own statements go on working.
    mended: ({ db }) =>
      Promise.all([db.sql("update plain set id = 2"), db.sql("update of_parts set id = 2")]),
  },
  {
    what: "a publication FOR ALL TABLES that makes updates fail",
    slot: null,
    flags: [...PGOUTPUT, "--create-slot", "--full-change"],
    broken: sql((db) =>
      `create table plain (id int); create publication ${db.slot} for all tables`
    ),
    finding: [
      "replica_identity",
      "✗",
      /public\.plain; their UPDATEs and DELETEs fail in the app.*ALL/,
    ],
  },
  {
    what: "somebody else's publication FOR ALL TABLES that makes updates fail",
    broken: sql(() =>
      "create table plain (id int); create publication somebody_elses for all tables"
    ),
    finding: [
      "other_publications",
      "!",
      /public\.plain; their UPDATEs and DELETEs fail in the app.* not this run's: somebody_elses/,
    ],
  },
  {
    what: "a table without replica identity, with wal2json",
    wal2json: true,
    slot: "wal2json",
    flags: [PLUGIN, "wal2json", "--exclude-table", "public.other"],
    broken: sql(() => "create table plain (id int); create table other (id int)"),
    finding: [
      "replica_identity",
      "✗",
      /1 table without replica identity: public\.plain; wal2json leaves out every UPDATE and DELETE/,
    ],
  },
  {
    what: "a materialized view that is refreshed concurrently, with wal2json",
    wal2json: true,
    slot: "wal2json",
    flags: [PLUGIN, "wal2json", "--exclude-table", "public.fine*"],
    broken: sql(() =>
      `create materialized view "Sums" as select 1 as id; create unique index on "Sums" (id);
       create materialized view never as select 1 as id;
       create materialized view fine_2 as select 1 as id; create unique index on fine_2 (id)`
    ),
    finding: [
      "materialized_views",
      "✗",
      /1 materialized view .*: public\.Sums; unless .* what REFRESH … CONCURRENTLY deletes stops the run/,
    ],
  },
  {
    what: "a plugin that the server does not allow",
    wal2json: true,
    allowedPlugins: "pgoutput, test_decoding",
    server: { settings: SETTINGS },
    slot: null,
    flags: [PLUGIN, "wal2json", "--create-slot"],
    finding: ["plugin", "✗", /does not allow the plugin wal2json/],
    stopsAtStart: true,
  },
  {
    what: "REPLICA IDENTITY NOTHING",
    broken: sql(() => "alter table t replica identity nothing"),
    finding: ["replica_identity", "✗", /public\.t; a DELETE does not say which row it was/],
  },
  {
    what: "a replica identity that hides the key",
    broken: sql(() =>
      `alter table t alter note set not null; create unique index by_note on t (note);
       alter table t replica identity using index by_note`
    ),
    finding: [
      "hidden_keys",
      "✗",
      /whose replica identity lacks the primary key: public\.t; a DELETE/,
    ],
  },
  {
    what: "a deferrable primary key",
    flags: ["-f", "JSON"],
    broken: sql(() => "create table late (id int primary key deferrable)"),
    finding: ["replica_identity", "✗", /1 table without replica identity: public\.late/],
  },
  {
    what: "a table without primary key, whose changes are skipped",
    broken: sql(() => "create table plain (id int)"),
    finding: ["primary_keys", "!", /1 table without primary key: public\.plain; .* skipped/],
  },
  {
    what: "a table without primary key, whose changes stop the run",
    flags: ["--message-formatter", "CSV", "--on-missing-pkey", "stop"],
    broken: sql(() => "create table plain (id int)"),
    finding: ["primary_keys", "✗", /public\.plain; a change of one stops the run/],
  },
  {
    what: "a table without primary key, whose changes go one by one",
    flags: ["-f", "JSON", "--aggregation", "none"],
    broken: sql(() => "create table plain (id int)"),
    finding: ["partition_keys", "!", /share a partition key \(public\.plain\), and with .*none/],
  },
  {
    what: "a partition key for each table, whose changes go one by one",
    flags: ["--aggregation", "none", "--partition-key", "table"],
    broken: sql(() => "select"),
    finding: ["partition_keys", "!", /all changes of a table share a partition key/],
  },
];
