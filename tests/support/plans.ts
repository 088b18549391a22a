import { assertEquals } from "@std/assert";
import type { Plan } from "../../src/plan/plan.ts";
import { Pg2kinesis } from "./pg2kinesis.ts";
import type { FreshDatabase } from "./shared_postgres.ts";
import { waitFor } from "./wait.ts";

/** What `pg2kinesis plan --json` prints. */
export async function plan(flags: readonly string[]): Promise<Plan> {
  const { code, stdout, stderr } = await Pg2kinesis.run(["plan", "--json", ...flags]);
  assertEquals(code, 0, stderr);
  return JSON.parse(stdout);
}

export async function carryOut(db: FreshDatabase, { statements }: Plan): Promise<void> {
  for (const statement of joined(statements)) await db.sql(statement);
}

/** A transaction in one text, since each text has a connection of its own. */
function joined(statements: readonly string[]): string[] {
  const end = statements.indexOf("COMMIT;") + 1;
  return [statements.slice(0, end).join("\n"), ...statements.slice(end)];
}

/** Waits until all of them are confirmed up to what is committed now. */
export async function waitForSlots(db: FreshDatabase, slots: readonly string[]): Promise<void> {
  const [now] = await db.sql("select pg_current_wal_insert_lsn()::text as lsn");
  await waitFor(async () => {
    const [row] = await db.sql(
      `select count(*)::int as n from pg_replication_slots
        where slot_name = any ($1) and confirmed_flush_lsn >= $2::pg_lsn`,
      [slots, now!.lsn],
    );
    return row!.n === slots.length;
  }, { what: `all of ${slots.join(", ")} to be confirmed up to ${now!.lsn}`, timeoutMs: 120_000 });
}
