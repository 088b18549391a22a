import { waitFor } from "./wait.ts";
import type { TestPostgres } from "./test_postgres.ts";

/** A database of one test's own on a server that several tests share, and a name for its slot. */
export interface FreshDatabase extends AsyncDisposable {
  readonly server: TestPostgres;
  readonly database: string;
  /** Not created yet; no other test has it. */
  readonly slot: string;
  /** Runs SQL in this database. */
  sql(text: string, values?: unknown[]): ReturnType<TestPostgres["sql"]>;
  /** Creates the slot {@linkcode slot} with a plugin, without pg2kinesis. */
  createSlot(plugin: string): Promise<void>;
}

/**
 * Gives a test a database of its own on `server`; `await using` drops it with all its slots, whoever
 * still holds them. So one test file starts one server, at its top level:
 *
 *     const server = await startEmbeddedPostgres();
 *
 * and need not stop it: the server ends with the test run.
 */
export async function freshDatabase(server: TestPostgres, clauses = ""): Promise<FreshDatabase> {
  const database = await server.createDatabase(clauses);
  const slot = database.replace("t_", "s_");
  return {
    server,
    database,
    slot,
    sql: (text, values) => server.sql(text, { database, values }),
    createSlot: async (plugin) => {
      await server.sql("select pg_create_logical_replication_slot($1, $2)", {
        database,
        values: [slot, plugin],
      });
    },
    [Symbol.asyncDispose]: () => dropDatabase(server, database),
  };
}

/** Drops the slots of the database, then the database, with everyone connected to it thrown out. */
async function dropDatabase(server: TestPostgres, database: string): Promise<void> {
  await waitFor(async () => {
    const slots = await server.sql(
      `select slot_name, pg_terminate_backend(active_pid) from pg_replication_slots
       where database = $1`,
      { values: [database] },
    );
    for (const { slot_name } of slots) {
      // It stays active until its walsender has gone.
      await server.sql("select pg_drop_replication_slot($1)", { values: [slot_name] })
        .catch(() => {});
    }
    return slots.length === 0;
  }, { what: `the slots of the database ${database} to be dropped` });
  await server.sql(`drop database ${database} with (force)`);
}
