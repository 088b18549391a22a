import { systemClock } from "../base/clock.ts";
import { RunError } from "../base/errors.ts";
import { createTableFilter } from "../format/filter/table_filter.ts";
import { loadCatalog } from "../postgres/catalog/catalog.ts";
import { partComment, partName } from "../postgres/catalog/part_publications.ts";
import { publishableTables } from "../postgres/catalog/publication_tables.ts";
import { readSplitFacts } from "../postgres/catalog/split_columns.ts";
import { connect, type Connection } from "../postgres/connection/connection.ts";
import { quoteLiteral } from "../postgres/connection/sql_text.ts";
import { creationOf } from "../postgres/slot/publications.ts";
import { checkServer } from "../postgres/slot/server_facts.ts";
import { divideTables } from "./divide_tables.ts";
import type { PlanOptions } from "./plan_options.ts";

/** How to spread one run over several. */
export interface Plan {
  readonly database: string;
  /** To be run in this order, each once. */
  readonly statements: readonly string[];
  /** For each part what starts its run: `pg2kinesis` and its arguments. */
  readonly commands: readonly (readonly string[])[];
  /** What a person must know of it, one line each. */
  readonly remarks: readonly string[];
}

/** Row filters came with it. */
const ROW_FILTER_VERSION = 150000;
/** `failover` of a slot came with it. */
const FAILOVER_VERSION = 170000;

/**
 * Looks at the database and says what each part has; changes nothing.
 * @throws {RunError} one line for the operator.
 */
export async function makePlan(options: PlanOptions, signal: AbortSignal): Promise<Plan> {
  const { run, parts, split } = options;
  const connection = await connect(run.postgres, "ordinary", signal);
  try {
    const { version, versionName } = await checkServer(connection, "pgoutput");
    if (split === "rows" && version < ROW_FILTER_VERSION) {
      throw new RunError(
        `PostgreSQL ${versionName} has no row filters, which 15 and newer have; spread the tables ` +
          "with --split tables",
      );
    }
    if (run.slot.failover && version < FAILOVER_VERSION) {
      throw new RunError(`PostgreSQL ${versionName} has no --slot-failover, which came with 17`);
    }
    const names = Array.from({ length: parts }, (_, part) => partName(run.slot.name, part));
    await refuseTaken(connection, names);
    const catalog = await loadCatalog(run.postgres, systemClock, Math.random, signal);
    try {
      const tables = await publishableTables(connection);
      const splitFacts = await readSplitFacts(connection, tables);
      const wanted = createTableFilter(run.format, catalog);
      const division = divideTables({ tables, splitFacts, wanted, version }, options);
      return {
        database: run.postgres.database,
        statements: [
          ...publicationStatements(names, division.listed, run.slot.partitionRoot),
          // A run that begins with a backfill makes its own.
          ...run.slot.backfill ? [] : names.map((name) => slotStatement(name, run.slot.failover)),
        ],
        commands: names.map((name, part) => commandOf(options, name, part)),
        remarks: [...division.remarks, ...remarksOn(options)],
      };
    } finally {
      catalog.close();
    }
  } finally {
    connection.destroy();
  }
}

/** Parts of two plans in one name would be taken for one. */
async function refuseTaken(connection: Connection, names: readonly string[]): Promise<void> {
  const rows = await connection.query(
    "look for publications and slots of these names",
    `SELECT 'publication' AS kind, p.pubname AS name FROM pg_catalog.pg_publication p
      WHERE p.pubname OPERATOR(pg_catalog.=) ANY ($1)
      UNION ALL
     SELECT 'slot', s.slot_name FROM pg_catalog.pg_replication_slots s
      WHERE s.slot_name OPERATOR(pg_catalog.=) ANY ($1)`,
    [names],
  );
  const [taken] = rows;
  if (taken === undefined) return;
  throw new RunError(
    `there is a ${taken.kind} ${
      JSON.stringify(taken.name)
    } already; name the parts otherwise with ` +
      '--pg-slot-name, or see docs/growing.md, "Another number of parts"',
  );
}

/** All or none: with some of them, some rows would be in no part. */
function publicationStatements(
  names: readonly string[],
  listed: readonly (readonly string[])[],
  partitionRoot: boolean,
): string[] {
  return [
    "BEGIN;",
    ...names.flatMap((name, part) => [
      `${creationOf(name, listed[part]!, partitionRoot)};`,
      `${partComment(name, part, names.length)};`,
    ]),
    "COMMIT;",
  ];
}

function slotStatement(name: string, failover: boolean): string {
  const more = failover ? ", failover => true" : "";
  return `SELECT pg_catalog.pg_create_logical_replication_slot(${
    quoteLiteral(name)
  }, 'pgoutput'${more});`;
}

function commandOf(
  { run, ownStreams, repeated, ofFirst }: PlanOptions,
  name: string,
  part: number,
): string[] {
  const { slot, stream, telemetry: { metricsAddress } } = run;
  const command = ["pg2kinesis", "run", "--pg-slot-name", name];
  command.push("--pg-slot-output-plugin", "pgoutput");
  command.push("--stream-name", ownStreams ? partName(stream.name, part) : stream.name);
  if (slot.backfill) command.push("--create-slot", "--backfill");
  if (metricsAddress !== undefined) {
    const { hostname, port } = metricsAddress;
    const host = hostname.includes(":") ? `[${hostname}]` : hostname;
    // Those of one machine cannot share a port.
    command.push("--metrics-addr", `${host}:${port === 0 ? 0 : port + part}`);
  }
  return [...command, ...repeated, ...part === 0 ? ofFirst : []];
}

/** What is not as with one run. */
function remarksOn({ split, ownStreams, run, ofFirst }: PlanOptions): string[] {
  const { format: { operations }, slot } = run;
  const remarks: string[] = [];
  if (split === "rows") {
    if (operations.has("update")) {
      remarks.push(
        "an UPDATE that moves a row to a key of another part becomes a DELETE in one run and an INSERT " +
          "in another, without order between them; columns stored out of line that it leaves alone " +
          "are missing from the INSERT, unless the table has REPLICA IDENTITY FULL",
      );
    }
    if (operations.has("truncate")) {
      remarks.push(
        "each part publishes each TRUNCATE of a table that it has rows of" +
          (ownStreams
            ? ", for its own rows"
            : "; within a transaction its place is its lsn, since each run has a seq of its own"),
      );
    }
  }
  if (slot.backfill) {
    remarks.push("each run creates its slot and publishes the rows of its part that exist by then");
  } else {
    remarks.push("for the rows that exist already: pg2kinesis backfill, once for each slot");
  }
  if (ofFirst.length > 0) {
    remarks.push("logical messages are in every slot; only the run of part 0 publishes them");
  }
  return remarks;
}
