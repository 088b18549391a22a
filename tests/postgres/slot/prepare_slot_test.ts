import { assert, assertEquals } from "@std/assert";
import { systemClock } from "../../../src/base/clock.ts";
import { connect } from "../../../src/postgres/connection/connection.ts";
import { ReplicationSession } from "../../../src/postgres/session/replication_session.ts";
import {
  findDebianPostgres,
  hasPluginList,
  NO_DEBIAN_POSTGRES,
  NO_PLUGIN_LIST,
  startDebianPostgres,
  startStrictPostgres,
} from "../../support/debian_postgres.ts";
import { startEmbeddedPostgres } from "../../support/embedded_postgres.ts";
import { logged } from "../../support/logs.ts";
import { freshDatabase } from "../../support/shared_postgres.ts";
import {
  assertFails,
  postgresOptions,
  prepare,
  slotOptions,
} from "../../support/postgres_options.ts";

const server = await startEmbeddedPostgres();
const debian = findDebianPostgres() === undefined ? undefined : await startDebianPostgres();
if (debian === undefined) console.warn(NO_DEBIAN_POSTGRES);

const EVENTS = {
  received: () => false,
  needsOnlyHead: () => false,
  lost: () => {},
  silent: () => {},
  flushLsn: () => 0n,
};
const fromTheSlot = () => 0n;

for (const each of [server, debian]) {
  const name = each === server ? "18" : "15";
  const ignore = each === undefined;

  Deno.test(`prepareSlot makes, keeps and makes anew a slot (${name})`, { ignore }, async () => {
    await using db = await freshDatabase(each!);
    await assertFails(prepare(db, "test_decoding"), [db.slot, "--create-slot"], false);

    const made = await prepare(db, "test_decoding", { create: true });
    assert(made.created);
    assert(made.confirmedFlushLsn > 0n);
    assertEquals(made.server.database, db.database);
    assertEquals(made.server.version, each!.version);

    await db.sql("create table t (id int primary key)");
    const kept = await prepare(db, "test_decoding", { create: true });
    assertEquals([kept.created, kept.confirmedFlushLsn], [false, made.confirmedFlushLsn]);
    const plain = await prepare(db, "test_decoding");
    assertEquals([plain.created, plain.confirmedFlushLsn], [false, made.confirmedFlushLsn]);

    await db.sql("insert into t select generate_series(1, 1000)");
    let anew = made;
    const lines = await logged(async () => {
      anew = await prepare(db, "test_decoding", { recreate: true });
    });
    assert(anew.created);
    const [warning, ...more] = lines.filter(({ level }) => level === "warning");
    assertEquals(more, []);
    const says =
      /^--recreate-slot dropped the slot (\S+), which had confirmed \S+: (\d+\.?\d*) KiB of WAL .*remove the flag/;
    const [, slot, kib] = says.exec(warning?.text ?? "") ?? [];
    assertEquals(slot, db.slot, warning?.text);
    assert(Number(kib) > 50, warning?.text);
    assert(anew.confirmedFlushLsn > made.confirmedFlushLsn);
    const recreated = await prepare(db, "test_decoding", { create: true, recreate: true });
    assert(recreated.created);
  });

  Deno.test(
    `prepareSlot lets --recreate-slot make the first slot (${name})`,
    { ignore },
    async () => {
      await using db = await freshDatabase(each!);
      const lines = await logged(async () => {
        assert((await prepare(db, "test_decoding", { recreate: true })).created);
      });
      // There is nothing that it gives up.
      assertEquals(lines.filter(({ level }) => level === "warning"), []);
    },
  );

  Deno.test(`prepareSlot names both plugins and both databases (${name})`, { ignore }, async () => {
    await using db = await freshDatabase(each!);
    await using other = await freshDatabase(each!);
    await db.createSlot("test_decoding");
    for (const create of [false, true]) {
      await assertFails(
        prepare({ ...other, slot: db.slot }, "test_decoding", { create }),
        [db.slot, db.database, other.database, "--pg-slot-name"],
        false,
      );
      await db.sql(`create publication ${db.slot}`);
      await assertFails(
        prepare(db, "pgoutput", { create }),
        [db.slot, "plugin test_decoding", "plugin pgoutput", "--recreate-slot"],
        false,
      );
      await db.sql(`drop publication ${db.slot}`);
    }
    // The flag was meant for a slot of this database: the other one's changes are not ours to give up.
    await assertFails(
      prepare({ ...other, slot: db.slot }, "test_decoding", { recreate: true }),
      [db.slot, db.database, other.database],
      false,
    );
    assertEquals((await prepare(db, "test_decoding")).created, false);
  });

  Deno.test(`prepareSlot names the process that holds the slot (${name})`, { ignore }, async () => {
    await using db = await freshDatabase(each!);
    await db.createSlot("test_decoding");
    const postgres = postgresOptions(each!, { database: db.database });
    const slot = slotOptions(db, "test_decoding");
    const session = await ReplicationSession.start(
      await connect(postgres, "replication"),
      slot,
      fromTheSlot,
      EVENTS,
      systemClock,
    );
    try {
      const [{ active_pid }] = await db.sql(
        "select active_pid from pg_replication_slots where slot_name = $1",
        [db.slot],
      ) as [{ active_pid: number }];
      const says = [db.slot, "active", new RegExp(`\\b${active_pid}\\b`)];
      await assertFails(prepare(db, "test_decoding"), says, true);
      await assertFails(prepare(db, "test_decoding", { recreate: true }), says, true);
      // Taken between the check and the start.
      const second = await connect(postgres, "replication");
      await assertFails(
        ReplicationSession.start(second, slot, fromTheSlot, EVENTS, systemClock),
        says,
        true,
      );
    } finally {
      await session.close();
    }
  });

  Deno.test(`prepareSlot refuses physical, temporary and two-phase slots (${name})`, {
    ignore,
  }, async () => {
    await using db = await freshDatabase(each!);
    const physical = `${db.slot}_p`;
    await db.sql("select pg_create_physical_replication_slot($1)", [physical]);
    try {
      for (const recreate of [false, true]) {
        await assertFails(
          prepare({ ...db, slot: physical }, "test_decoding", { recreate }),
          [physical, "physical"],
          false,
        );
      }
    } finally {
      await db.sql("select pg_drop_replication_slot($1)", [physical]);
    }

    const owner = await each!.connect({ database: db.database });
    try {
      await owner.query(
        "select pg_create_logical_replication_slot($1, 'test_decoding', true)",
        [db.slot],
      );
      for (const recreate of [false, true]) {
        const says = [db.slot, "temporary", "name another"];
        await assertFails(prepare(db, "test_decoding", { recreate }), says, false);
      }
    } finally {
      await owner.end();
    }

    await using two = await freshDatabase(each!);
    await two.sql(
      "select pg_create_logical_replication_slot($1, 'test_decoding', false, true)",
      [two.slot],
    );
    await assertFails(prepare(two, "test_decoding"), [two.slot, "two_phase"], false);
  });

  Deno.test(`prepareSlot refuses a role without REPLICATION (${name})`, { ignore }, async () => {
    await using db = await freshDatabase(each!);
    const role = db.slot.replace("s_", "r_");
    await each!.sql(`create role ${role} login`);
    try {
      const says = [role, /ALTER ROLE .* REPLICATION/, "rds_replication"];
      await assertFails(prepare(db, "test_decoding", { create: true }, role), says, false);
      const options = postgresOptions(each!, { database: db.database, user: role });
      await assertFails(connect(options, "replication"), says, false);
      await each!.sql(`alter role ${role} replication`);
      assert((await prepare(db, "test_decoding", { create: true }, role)).created);
    } finally {
      await each!.sql(`drop role ${role}`);
    }
  });

  Deno.test(`prepareSlot refuses to send another encoding unconverted (${name})`, {
    ignore,
  }, async () => {
    await using db = await freshDatabase(each!, "encoding 'LATIN1' template template0");
    for (const plugin of ["test_decoding", "wal2json"] as const) {
      await assertFails(prepare(db, plugin, { create: true }), ["LATIN1", "pgoutput"], false);
    }
    await db.sql(`create publication ${db.slot}`);
    assert((await prepare(db, "pgoutput", { create: true })).created);
  });

  Deno.test(`prepareSlot names the publications that are missing (${name})`, {
    ignore,
  }, async () => {
    await using db = await freshDatabase(each!);
    await db.sql(`create publication "It's ""one"""`);
    const publications = [`It's "one"`, "two", "three, four"];
    await assertFails(
      prepare(db, "pgoutput", { create: true, publications }),
      ['publication "two", "three, four" in', "repeat --pg-publication", "CREATE PUBLICATION"],
      false,
    );
    assert(
      (await prepare(db, "pgoutput", { create: true, publications: [publications[0]!] })).created,
    );
    await assertFails(
      prepare(db, "pgoutput", { publications: ["two"] }),
      ['publication "two"'],
      false,
    );
  });
}

Deno.test("prepareSlot says how to install a plugin that is not there", async () => {
  await using db = await freshDatabase(server);
  await assertFails(
    prepare(db, "wal2json", { create: true }),
    ["wal2json", "install", "postgresql-<version>-wal2json"],
    false,
  );
});

const noPluginList = !hasPluginList();
if (noPluginList) console.warn(NO_PLUGIN_LIST);
Deno.test("prepareSlot gives the statement that allows a plugin", {
  ignore: noPluginList,
}, async () => {
  // A server of its own, since the setting is the server's.
  await using strict = await startStrictPostgres("test_decoding");
  await using db = await freshDatabase(strict);
  const says =
    /run (ALTER SYSTEM SET output_plugin_libraries = test_decoding, wal2json) and then (SELECT pg_catalog\.pg_reload_conf\(\))/;
  await assertFails(prepare(db, "wal2json", { create: true }), [says], false);

  await strict.sql("create role least login replication");
  await assertFails(
    prepare(db, "wal2json", { create: true }, "least"),
    ["output_plugin_libraries = pgoutput, test_decoding, wal2json (and what"],
    false,
  );

  const { message } = await prepare(db, "wal2json", { create: true }).catch((error) => error);
  const [, allow, reload] = says.exec(message)!;
  await strict.sql(allow!);
  await strict.sql(reload!);
  assert((await prepare(db, "wal2json", { create: true })).created);

  // A slot that is there already is refused too, before it is read.
  await strict.sql("alter system set output_plugin_libraries = test_decoding");
  await strict.sql("select pg_reload_conf()");
  await assertFails(prepare(db, "wal2json"), [says], false);
});

Deno.test("prepareSlot refuses a server that keeps too little WAL", async () => {
  await using replica = await startEmbeddedPostgres({ settings: { wal_level: "replica" } });
  await using db = await freshDatabase(replica);
  await assertFails(
    prepare(db, "test_decoding", { create: true }),
    ["wal_level", "replica", "ALTER SYSTEM SET wal_level = logical", "rds.logical_replication"],
    false,
  );
});

Deno.test("prepareSlot says that all slots are taken, and that a slot is lost", async () => {
  await using small = await startEmbeddedPostgres({
    settings: { max_replication_slots: 1, max_slot_wal_keep_size: "1MB", min_wal_size: "2MB" },
    initdbArgs: ["--wal-segsize=1"],
  });
  await using db = await freshDatabase(small);
  await using other = await freshDatabase(small);
  await prepare(db, "test_decoding", { create: true });
  await assertFails(
    prepare(other, "test_decoding", { create: true }),
    [other.slot, "max_replication_slots"],
    true,
  );
  for (let segment = 0; segment < 5; segment++) {
    await db.sql(
      "select pg_logical_emit_message(true, '', repeat('x', 900000)); select pg_switch_wal()",
    );
  }
  await small.sql("checkpoint");
  await assertFails(prepare(db, "test_decoding"), [db.slot, "lost", "--recreate-slot"], false);
  assert((await prepare(db, "test_decoding", { recreate: true })).created);
});
