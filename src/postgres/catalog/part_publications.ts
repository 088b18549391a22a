import type { Connection } from "../connection/connection.ts";
import type { TextRow } from "../connection/text_row.ts";
import { quoteIdentifier, quoteLiteral } from "../connection/sql_text.ts";

/** A publication that is one of several which share the work. */
export interface PartPublication {
  readonly name: string;
  /** From 0. */
  readonly part: number;
  readonly parts: number;
}

/** What a part's publication and its slot are called. */
export const partName = (base: string, part: number): string => `${base}_${part}`;

/** The comment by which the parts of one plan know each other. */
export function partComment(publication: string, part: number, parts: number): string {
  return `COMMENT ON PUBLICATION ${quoteIdentifier(publication)} IS ` +
    quoteLiteral(`pg2kinesis: part ${part} of ${parts}`);
}

const COMMENT = /^pg2kinesis: part (\d{1,3}) of (\d{1,3})$/;

/** The publications of the same plans as these, themselves included; none for those of no plan. */
export async function partsBeside(
  connection: Connection,
  publications: readonly string[],
): Promise<PartPublication[]> {
  const rows = await connection.query(
    "look for the publications' comments",
    `SELECT p.pubname AS name, p.pubowner::pg_catalog.text AS owner,
            pg_catalog.obj_description(p.oid, 'pg_publication') AS comment
       FROM pg_catalog.pg_publication p ORDER BY p.pubname`,
  );
  const all = rows.flatMap(readPart);
  // A comment of somebody else's publication says nothing of ours.
  const own = new Set(
    all.filter(({ name }) => publications.includes(name)).map(({ plan }) => plan),
  );
  return all.filter(({ plan }) => own.has(plan))
    .map(({ name, part, parts }) => ({ name, part, parts }))
    .toSorted((left, right) => left.part - right.part);
}

/** The tables, by `schema.table`, that the other parts of the same plans have. */
export async function tablesOfOtherParts(
  connection: Connection,
  publications: readonly string[],
): Promise<string[]> {
  const parts = await partsBeside(connection, publications);
  const others = parts.map(({ name }) => name).filter((name) => !publications.includes(name));
  if (others.length === 0) return [];
  const rows = await connection.query(
    "look for the tables of the other parts",
    `SELECT DISTINCT pg_catalog.concat(schemaname, '.', tablename) AS name
       FROM pg_catalog.pg_publication_tables WHERE pubname OPERATOR(pg_catalog.=) ANY ($1)`,
    [others],
  );
  return rows.map(({ name }) => name!);
}

function readPart({ name, owner, comment }: TextRow): (PartPublication & { plan: string })[] {
  const [, part, parts] = COMMENT.exec(comment ?? "") ?? [];
  if (part === undefined || !name!.endsWith(`_${part}`)) return [];
  const base = name!.slice(0, -`_${part}`.length);
  return [{
    ...{ name: name!, part: Number(part), parts: Number(parts) },
    plan: JSON.stringify([base, parts, owner]),
  }];
}
