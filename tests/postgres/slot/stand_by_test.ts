import { assertEquals } from "@std/assert";
import { systemClock } from "../../../src/base/clock.ts";
import { connect } from "../../../src/postgres/connection/connection.ts";
import { standBy } from "../../../src/postgres/slot/stand_by.ts";
import { startEmbeddedPostgres } from "../../support/embedded_postgres.ts";
import { freshDatabase } from "../../support/shared_postgres.ts";
import { postgresOptions, slotOptions } from "../../support/postgres_options.ts";
import { waitFor } from "../../support/wait.ts";

Deno.test("standBy does not wait for a slot that it could not follow when it is free", async () => {
  await using server = await startEmbeddedPostgres();
  await using db = await freshDatabase(server);
  await using other = await freshDatabase(server);
  const temporary = { ...db, slot: `${db.slot}_t` };
  const owner = await server.connect({ database: db.database });
  const postgres = postgresOptions(server, { database: db.database });
  const holder = await connect(postgres, "replication");
  try {
    await owner.query(
      "select pg_create_logical_replication_slot($1, 'test_decoding', true)",
      [temporary.slot],
    );
    await db.createSlot("test_decoding");
    holder.client.query(`START_REPLICATION SLOT "${db.slot}" LOGICAL 0/0`).catch(() => {});
    const held = "select from pg_replication_slots where active";
    await waitFor(async () => (await db.sql(held)).length === 2, { what: "the slots to be held" });
    const standsBy = (database: string, { slot }: { slot: string }, plugin = "test_decoding") =>
      standBy(
        postgresOptions(server, { database }),
        slotOptions({ slot }, plugin as "test_decoding", { standby: true }),
        AbortSignal.timeout(10_000),
        false,
        systemClock,
        Math.random,
      );
    // The start that follows says what is wrong.
    assertEquals(await standsBy(db.database, temporary), false, "a temporary one");
    assertEquals(await standsBy(other.database, db), false, "one of another database");
    assertEquals(await standsBy(db.database, db, "pgoutput"), false, "one of another plugin");
  } finally {
    holder.destroy();
    await owner.end();
  }
});
