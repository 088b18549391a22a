import { waitFor } from "./wait.ts";
import type { TestPostgres } from "./test_postgres.ts";

/** Nobody follows the slots before they are on the standby. PostgreSQL 17 and newer. */
export async function createFailoverSlots(
  primary: TestPostgres,
  standby: TestPostgres,
  database: string,
  slots: readonly (readonly [name: string, plugin: string])[],
): Promise<void> {
  for (const [name, plugin] of slots) {
    await primary.sql(
      "select pg_create_logical_replication_slot($1, $2, false, false, failover => true)",
      { database, values: [name, plugin] },
    );
  }
  await waitFor(async () => {
    // A copy is kept once the slot has passed the standby's own WAL.
    await primary.sql("select pg_log_standby_snapshot()");
    for (const [name] of slots) {
      await primary.sql("select pg_replication_slot_advance($1, pg_current_wal_lsn())", {
        database,
        values: [name],
      });
    }
    // Wakes the worker that copies slots, which else sleeps for up to half a minute.
    await standby.sql("select pg_reload_conf()");
    const [row] = await standby.sql(
      "select count(*)::int as copies from pg_replication_slots where synced and not temporary",
    );
    return row!.copies === slots.length;
  }, { what: "the slots on the standby", timeoutMs: 90_000, intervalMs: 100 });
}
