import { getLogger } from "@logtape/logtape";
import type { Connection } from "./connection.ts";
import { PostgresError } from "./postgres_error.ts";

const logger = getLogger(["pg2kinesis", "postgres"]);

/**
 * Checks that the publications exist; says when they publish nothing, or not every operation.
 * @throws {PostgresError} that names the missing ones.
 */
export async function checkPublications(
  connection: Connection,
  names: readonly string[],
): Promise<void> {
  const rows = await connection.query(
    "look for the publications",
    `SELECT p.pubname AS name,
            (SELECT pg_catalog.count(*) FROM pg_catalog.pg_publication_tables t
              WHERE t.pubname = p.pubname) AS tables,
            pg_catalog.concat_ws(', ', CASE WHEN NOT p.pubinsert THEN 'inserts' END,
              CASE WHEN NOT p.pubupdate THEN 'updates' END,
              CASE WHEN NOT p.pubdelete THEN 'deletes' END,
              CASE WHEN pg_catalog.to_jsonb(p)->>'pubtruncate' = 'false' THEN 'truncates' END) AS without
       FROM pg_catalog.pg_publication p WHERE p.pubname = ANY ($1)`,
    [names],
  );
  const found = new Set(rows.map(({ name }) => name));
  const missing = names.filter((name) => !found.has(name));
  if (missing.length > 0) {
    const list = missing.map((name) => JSON.stringify(name)).join(", ");
    throw new PostgresError(
      `there is no publication ${list} in this database; run CREATE PUBLICATION … FOR TABLE … ` +
        "before the slot is created, or name another with --pg-publication",
      { transient: false },
    );
  }
  for (const { name, without } of rows) {
    if (without) logger.warn("the publication {name} leaves out {without}", { name, without });
  }
  if (rows.every(({ tables }) => tables === "0")) {
    logger.warn("no table is in the publication {names}, so there is nothing to follow yet", {
      names: names.join(", "),
    });
  }
}
