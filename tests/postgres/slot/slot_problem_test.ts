import { assert, assertEquals } from "@std/assert";
import { creation } from "../../../src/postgres/slot/slot_problem.ts";
import { freshDatabase } from "../../support/shared_postgres.ts";
import { startEmbeddedPostgres } from "../../support/embedded_postgres.ts";
import { slotOptions } from "../../support/postgres_options.ts";

Deno.test("creation makes the slot as a run with these options would", async () => {
  await using server = await startEmbeddedPostgres();
  await using db = await freshDatabase(server);
  for (const failover of [false, true]) {
    const options = slotOptions(db, "pgoutput", { failover });
    await db.sql(creation(options));
    const [slot] = await db.sql(
      "select plugin, failover from pg_replication_slots where slot_name = $1",
      [db.slot],
    );
    assertEquals(slot, { plugin: "pgoutput", failover });
    await db.sql("select pg_drop_replication_slot($1)", [db.slot]);
  }
  // Before 17 the function has no such argument.
  assert(!creation(slotOptions(db, "pgoutput")).includes("failover"));
});
