import { getLogger } from "@logtape/logtape";
import type { SlotOptions } from "../../options.ts";
import { nounFor, someOf } from "../../base/quantity.ts";
import type { Connection } from "../connection/connection.ts";
import type { TextRow } from "../connection/text_row.ts";
import { PostgresError } from "../connection/postgres_error.ts";
import {
  chooseTables,
  PARTITIONED_VERSION,
  publishableTables,
  type TableChoice,
  unpublishedTables,
} from "../catalog/publication_tables.ts";
import { tablesOfOtherParts } from "../catalog/part_publications.ts";
import { quoteIdentifier } from "../connection/sql_text.ts";

const logger = getLogger(["pg2kinesis", "postgres"]);

/** Says of a table, by `schema.table`, whether its changes are to be published. */
export type WantedTable = (qualifiedName: string) => boolean;

const INSUFFICIENT_PRIVILEGE = "42501";
const READ_ONLY_TRANSACTION = "25006";

/**
 * Checks that the publications exist; says when they publish nothing, not every operation, or not
 * every table that is wanted.
 * @throws {PostgresError} that names the missing ones.
 */
export async function checkPublications(
  connection: Connection,
  { name: slot, publications }: SlotOptions,
  slotExists: boolean,
  wanted: WantedTable,
): Promise<void> {
  const rows = await findPublications(connection, publications);
  const found = new Set(rows.map(({ name }) => name));
  const missing = publications.filter((name) => !found.has(name));
  if (missing.length > 0) {
    const list = missing.map((name) => JSON.stringify(name)).join(", ");
    const hint = missing.some((name) => name.includes(","))
      ? " (a comma is part of a name: repeat --pg-publication for each)"
      : "";
    throw wrong(
      `there is no publication ${list} in this database${hint}; ` +
        (slotExists
          ? `the slot ${
            JSON.stringify(slot)
          } cannot read what was changed before one is made: name another ` +
            "with --pg-publication, or follow the slot's changes up to then with a copy of it whose plugin " +
            'needs none (docs/operating.md, "Another plugin"), or give them up and recreate both with ' +
            "--recreate-slot --create-publication"
          : "make it with --create-publication, or run CREATE PUBLICATION … FOR TABLE … before the " +
            "slot is created, or name another with --pg-publication"),
    );
  }
  for (const { name, without } of rows) {
    if (without) logger.warn("the publication {name} leaves out {without}", { name, without });
  }
  const published = await connection.query(
    "look for the publications' tables",
    `SELECT DISTINCT pg_catalog.concat(schemaname, '.', tablename) AS name
       FROM pg_catalog.pg_publication_tables WHERE pubname OPERATOR(pg_catalog.=) ANY ($1)`,
    [publications],
  );
  const names = publications.join(", ");
  if (published.length === 0) {
    logger.warn("no table is in the publication {names}, so there is nothing to follow yet", {
      names,
    });
    return;
  }
  const absent = unpublishedTables(
    await publishableTables(connection),
    new Set([
      ...published.map(({ name }) => name!),
      ...await tablesOfOtherParts(connection, publications),
    ]),
    wanted,
  );
  if (absent.length > 0) {
    logger.warn(
      `the flags ask for {count} ${
        nounFor(absent.length, "table")
      } not in the publication {names}, ` +
        "whose changes are not published: {tables}",
      { count: absent.length, names, tables: someOf(absent) },
    );
  }
}

/**
 * Makes the publication, of all tables that are wanted and have a replica identity; a publication that
 * exists is left as it is. Names those left out.
 * @returns whether it was made.
 * @throws {PostgresError} with the statement, where this role may not run it.
 */
export async function createPublication(
  connection: Connection,
  { publications, partitionRoot }: SlotOptions,
  serverVersion: number,
  wanted: WantedTable,
): Promise<boolean> {
  // The command line gives one.
  const name = publications[0]!;
  if ((await findPublications(connection, [name])).length > 0) {
    logger.info("the publication {name} exists and is left as it is", { name });
    return false;
  }
  if (partitionRoot && serverVersion < PARTITIONED_VERSION) {
    throw wrong(
      `cannot create the publication ${
        JSON.stringify(name)
      } with --partition-root, which PostgreSQL has ` +
        "from 13 on; leave it out",
    );
  }
  const choice = chooseTables(await publishableTables(connection), wanted, serverVersion);
  if (choice.listed.length === 0) throw nothingToPublish(name, choice);
  await runCreation(connection, creationOf(name, choice.listed, partitionRoot), name);
  const noun = nounFor(choice.listed.length, "table");
  logger.info(`created the publication {name} of {count} ${noun}: {tables}`, {
    name,
    count: choice.listed.length,
    tables: someOf(choice.listed),
  });
  if (choice.leftOut.length > 0) {
    logger.warn(
      "left out of the publication {name}, because updates and deletes would fail in the " +
        "application without a replica identity: {tables}; give them a primary key or REPLICA " +
        "IDENTITY FULL, then run ALTER PUBLICATION {quoted} ADD TABLE …",
      { name, tables: choice.leftOut.join(", "), quoted: quoteIdentifier(name) },
    );
  }
  return true;
}

async function findPublications(
  connection: Connection,
  names: readonly string[],
): Promise<TextRow[]> {
  return await connection.query(
    "look for the publications",
    `SELECT p.pubname AS name,
            pg_catalog.concat_ws(', ', CASE WHEN NOT p.pubinsert THEN 'inserts' END,
              CASE WHEN NOT p.pubupdate THEN 'updates' END,
              CASE WHEN NOT p.pubdelete THEN 'deletes' END,
              CASE WHEN (pg_catalog.to_jsonb(p) OPERATOR(pg_catalog.->>) 'pubtruncate')
                          OPERATOR(pg_catalog.=) 'false' THEN 'truncates' END) AS without
       FROM pg_catalog.pg_publication p WHERE p.pubname OPERATOR(pg_catalog.=) ANY ($1)`,
    [names],
  );
}

/** The statement that creates a publication of tables, given as SQL. */
export function creationOf(
  name: string,
  listed: readonly string[],
  partitionRoot: boolean,
): string {
  // ONLY: the tables that inherit from one need not have a replica identity.
  const tables = listed.map((table) => `ONLY ${table}`).join(", ");
  return `CREATE PUBLICATION ${quoteIdentifier(name)} FOR TABLE ${tables}` +
    (partitionRoot ? " WITH (publish_via_partition_root = true)" : "");
}

async function runCreation(
  connection: Connection,
  statement: string,
  name: string,
): Promise<void> {
  try {
    await connection.query(`create the publication ${JSON.stringify(name)}`, statement);
  } catch (error) {
    if (!(error instanceof PostgresError)) throw error;
    const advice = adviceFor(error.code);
    if (advice === undefined) throw error;
    throw new PostgresError(`${error.message}; ${advice}: ${statement}`, {
      transient: false,
      code: error.code,
      cause: error.cause,
    });
  }
}

function adviceFor(code: string | undefined): string | undefined {
  switch (code) {
    case INSUFFICIENT_PRIVILEGE:
      return "that takes CREATE on the database and the ownership of every table; let somebody who " +
        "has both run";
    case READ_ONLY_TRANSACTION:
      return "run on the primary";
    default:
      return undefined;
  }
}

function nothingToPublish(name: string, { leftOut }: TableChoice): PostgresError {
  const found = leftOut.length === 0
    ? "no table matches --table-pat, --include-table and --exclude-table"
    : `of the tables that match none has a replica identity (${
      someOf(leftOut)
    }); give them a primary ` +
      "key or REPLICA IDENTITY FULL";
  return wrong(`cannot create the publication ${JSON.stringify(name)}: ${found}`);
}

function wrong(message: string): PostgresError {
  return new PostgresError(message, { transient: false });
}
