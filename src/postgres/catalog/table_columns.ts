import type { SlotOptions } from "../../options.ts";
import type { Connection } from "../connection/connection.ts";
import { isTrue } from "../connection/text_row.ts";

/** The columns that a table has now. */
export interface TableColumns {
  readonly names: readonly string[];
  /** Whether the slot may still send changes that were made with other columns. */
  readonly mayHaveHadOthers: boolean;
}

/**
 * Reads the columns of tables by `schema.table`, for which a role needs no right on them. `slot`
 * is the one that will be read.
 */
export async function readTableColumns(
  connection: Connection,
  tables: readonly string[],
  slot: Pick<SlotOptions, "name" | "recreate">,
): Promise<ReadonlyMap<string, TableColumns>> {
  if (tables.length === 0) return new Map();
  const rows = await connection.query(
    "read the tables' columns",
    `SELECT t.name,
            COALESCE(pg_catalog.json_agg(a.attname ORDER BY a.attnum)
              FILTER (WHERE NOT a.attisdropped), '[]')::pg_catalog.text AS columns,
            -- One was made, renamed or dropped since the oldest state of the catalog that the slot
            -- still needs. A dropped one keeps its row, but not its name.
            pg_catalog.bool_or(pg_catalog.age(a.xmin)
              OPERATOR(pg_catalog.<=) pg_catalog.age(s.catalog_xmin))::pg_catalog.text AS younger
       FROM pg_catalog.pg_attribute a
       JOIN (SELECT c.oid, pg_catalog.concat(n.nspname, '.', c.relname) AS name
               FROM pg_catalog.pg_class c
               JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace) t
         ON t.oid OPERATOR(pg_catalog.=) a.attrelid
       LEFT JOIN pg_catalog.pg_replication_slots s ON s.slot_name OPERATOR(pg_catalog.=) $2
      WHERE t.name OPERATOR(pg_catalog.=) ANY ($1) AND a.attnum OPERATOR(pg_catalog.>) 0
      GROUP BY t.name`,
    [tables, slot.recreate ? null : slot.name],
  );
  return new Map(rows.map(({ name, columns, younger }) => [
    name!,
    { names: JSON.parse(columns!), mayHaveHadOthers: isTrue(younger) },
  ]));
}
