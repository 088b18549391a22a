import { readPartFilter } from "../postgres/catalog/part_filter.ts";
import {
  partName,
  type PartPublication,
  partsBeside,
} from "../postgres/catalog/part_publications.ts";
import { quoteLiteral } from "../postgres/connection/sql_text.ts";
import { countOf, someOf } from "../base/quantity.ts";
import type { ServerContext } from "./server_context.ts";

/** What one part has of a table. */
interface Share {
  readonly publication: string;
  /** The row filter as the server prints it; undefined: every row. */
  readonly filter: string | undefined;
}

/**
 * The publications of `pg2kinesis plan`: whether every row of their tables is in exactly one part, and
 * every part has a slot. Gives the tables, by `schema.table`, that are in parts.
 */
export async function checkParts(context: ServerContext): Promise<ReadonlySet<string>> {
  const { connection, findings, options: { slot } } = context;
  const beside = await partsBeside(connection, slot.publications);
  if (beside.length === 0) return new Set();
  // A run may read several parts, even of two plans.
  const plans = Map.groupBy(
    beside,
    ({ name, part, parts }) => JSON.stringify([name.slice(0, -`_${part}`.length), parts]),
  );
  const inParts = new Set<string>();
  for (const [plan, present] of plans) {
    const [base, parts] = JSON.parse(plan) as [string, number];
    const shares = await readShares(context, present);
    for (const name of shares.keys()) inParts.add(name);
    const wrong = [
      await reportAbsent(context, base, parts, present),
      reportShares(context, shares, parts),
    ].includes(true);
    if (wrong) continue;
    findings.ok(
      "parts",
      `${parts} parts, ${partName(base, 0)} to ${partName(base, parts - 1)}: each row of their ` +
        `${countOf(shares.size, "table")} is in one of them`,
    );
  }
  return inParts;
}

async function readShares(
  { connection }: ServerContext,
  present: readonly PartPublication[],
): Promise<ReadonlyMap<string, readonly Share[]>> {
  const rows = await connection.query(
    "look up what the parts have",
    `SELECT t.pubname AS publication, pg_catalog.concat(t.schemaname, '.', t.tablename) AS name,
            pg_catalog.to_jsonb(t) OPERATOR(pg_catalog.->>) 'rowfilter' AS filter
       FROM pg_catalog.pg_publication_tables t
      WHERE t.pubname OPERATOR(pg_catalog.=) ANY ($1)
      ORDER BY t.schemaname, t.tablename, t.pubname`,
    [present.map(({ name }) => name)],
  );
  const shares = new Map<string, Share[]>();
  for (const { publication, name, filter } of rows) {
    const share = { publication: publication!, filter: filter ?? undefined };
    shares.set(name!, [...shares.get(name!) ?? [], share]);
  }
  return shares;
}

/** Parts without a publication or a slot: nobody keeps their rows. */
async function reportAbsent(
  { connection, findings }: ServerContext,
  base: string,
  parts: number,
  present: readonly PartPublication[],
): Promise<boolean> {
  const all = Array.from({ length: parts }, (_, part) => partName(base, part));
  const unpublished = all.filter((name) => !present.some((each) => each.name === name));
  if (unpublished.length > 0) {
    findings.warn(
      "parts",
      `the rows of ${
        countOf(unpublished.length, "part")
      } of ${parts} are in no publication: there is ` +
        `none named ${someOf(unpublished)}`,
      {
        kind: "advice",
        text:
          'make a new plan under another name (docs/growing.md, "Another number of parts"), and fill ' +
          "the gap with a backfill",
      },
    );
  }
  const rows = await connection.query(
    "look for the slots of the parts",
    `SELECT slot_name AS name FROM pg_catalog.pg_replication_slots
      WHERE database OPERATOR(pg_catalog.=) pg_catalog.current_database()
        AND slot_name OPERATOR(pg_catalog.=) ANY ($1)`,
    [all],
  );
  const unread = present.map(({ name }) => name).filter((name) =>
    !rows.some((row) => row.name === name)
  );
  if (unread.length > 0) {
    findings.warn(
      "parts",
      `no slot keeps the changes of ${
        countOf(unread.length, "part")
      } of ${parts}: there is none named ` +
        someOf(unread),
      {
        kind: "sql",
        statements: unread.map((name) =>
          `SELECT pg_catalog.pg_create_logical_replication_slot(${quoteLiteral(name)}, 'pgoutput');`
        ),
      },
    );
  }
  return unpublished.length > 0 || unread.length > 0;
}

function reportShares(
  { findings, wanted }: ServerContext,
  shares: ReadonlyMap<string, readonly Share[]>,
  parts: number,
): boolean {
  const twice: string[] = [];
  const missing: string[] = [];
  const unknown: string[] = [];
  for (const [name, having] of shares) {
    if (!wanted(name)) continue;
    const found = judge(having, parts);
    if (found.isTwice) {
      twice.push(`${name} (${having.map(({ publication }) => publication).join(", ")})`);
    }
    if (found.missing.length > 0) missing.push(`${name} (${found.missing.join(", ")} of ${parts})`);
    if (found.isUnknown) unknown.push(name);
  }
  if (twice.length > 0) {
    findings.warn("parts", `parts overlap, so that rows are published twice, of ${someOf(twice)}`, {
      kind: "advice",
      text:
        "take the table, or the wrong filter, out of all parts but one with ALTER PUBLICATION … DROP " +
        "TABLE; compare with what pg2kinesis plan prints for another name",
    });
  }
  if (missing.length > 0) {
    findings.warn("parts", `parts leave rows out of ${someOf(missing)}`, {
      kind: "advice",
      text:
        "add the table with the filter of that part (pg2kinesis plan prints it for another name), and " +
        "fill the gap with a backfill",
    });
  }
  if (unknown.length > 0) {
    findings.warn(
      "parts",
      `whether the parts overlap or leave rows out cannot be determined, since their filters are not ` +
        `those of a plan, or not of the same one: ${someOf(unknown)}`,
    );
  }
  return twice.length > 0 || missing.length > 0 || unknown.length > 0;
}

/** Looks at one table: its parts must be all the remainders of one hash, each once, or one of everything. */
export function judge(
  having: readonly Share[],
  parts: number,
): { readonly isTwice: boolean; readonly missing: readonly number[]; readonly isUnknown: boolean } {
  const fine = { isTwice: false, missing: [], isUnknown: false };
  if (having.some(({ filter }) => filter === undefined)) {
    return { ...fine, isTwice: having.length > 1 };
  }
  const read = having.map(({ filter }) => readPartFilter(filter!));
  const [first] = read;
  const isOne = read.every((each) =>
    each !== undefined && each.columns === first!.columns && each.parts === parts
  );
  if (!isOne) return { ...fine, isUnknown: true };
  const remainders = read.map((each) => each!.part);
  return {
    isTwice: new Set(remainders).size < remainders.length,
    missing: Array.from({ length: parts }, (_, part) => part)
      .filter((part) => !remainders.includes(part)),
    isUnknown: false,
  };
}
