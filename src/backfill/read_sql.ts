import { quoteIdentifier, quoteLiteral } from "../postgres/connection/sql_text.ts";
import { PRINTING_PATH } from "../postgres/connection/session_settings.ts";
import type { IndexColumnFacts } from "./read_facts.ts";
import type { PlanOutline, ReadPlan } from "./read_plan.ts";
import { quotedName } from "./table_obstacles.ts";

/** Names are found here alone; values are printed as the walsender prints them. */
export const FINDING_PATH = "SET LOCAL search_path = pg_catalog";
export const PRINT_PATH = `SET LOCAL search_path = ${PRINTING_PATH}`;
export const CURSOR = "backfill_rows";

/** Compiling a statement may take longer than running it, seconds on a busy server. */
export const JIT_VERSION = 110000;
export const NO_JIT = "jit = off";

/** Opens a transaction in which nothing can hold up the database for long. */
export function begin(version: number, timeoutMs: number): string {
  const settings = [
    "lock_timeout = '2s'",
    `statement_timeout = ${timeoutMs}`,
    "idle_in_transaction_session_timeout = '10s'",
    ...version >= 170000 ? [`transaction_timeout = ${timeoutMs + 10_000}`] : [],
    // An error in place of fewer rows.
    "row_security = off",
    "synchronous_commit = local",
    // The index of the key, whatever the planner expects.
    "enable_seqscan = off",
    "enable_bitmapscan = off",
    "enable_sort = off",
    "max_parallel_workers_per_gather = 0",
  ];
  return ["BEGIN ISOLATION LEVEL REPEATABLE READ", ...settings.map((each) => `SET LOCAL ${each}`)]
    .join("; ");
}

/** ONLY: what inherits from a table is a table for itself. */
export function lock({ facts }: Pick<PlanOutline, "facts">): string {
  return `LOCK TABLE ONLY ${quotedName(facts)} IN ACCESS SHARE MODE`;
}

/** What is selected of the columns; of the key always its values. */
export type RowForm = "values" | "lengths";

/** Rows behind a key, or from the first one, in key order. */
export function scanRows(
  plan: ReadPlan,
  excluded: ReadonlySet<string>,
  after: readonly string[] | undefined,
  form: RowForm = "values",
): string {
  const where = after === undefined ? "" : ` WHERE ${isLater(plan, after)}`;
  const direction = plan.key[0]!.isDescending ? "DESC" : "ASC";
  const order = plan.key.map(({ name }) => `${columnName(name)} ${direction}`).join(", ");
  return `${select(plan, excluded, form)}${where} ORDER BY ${order}`;
}

/** Rows of these keys, those that are there. */
export function rowsOfKeys(
  plan: ReadPlan,
  excluded: ReadonlySet<string>,
  keys: readonly (readonly string[])[],
  form: RowForm = "values",
): string {
  return keys.map((values) => `(${select(plan, excluded, form)} WHERE ${isEqual(plan, values)})`)
    .join(" UNION ALL ");
}

/** The columns that are not read: those that are excluded, or all but the key where nothing else is published. */
export function unreadColumns(
  { columns, key }: ReadPlan,
  excluded: ReadonlySet<string>,
  publishesKeysOnly: boolean,
): ReadonlySet<string> {
  if (!publishesKeysOnly) return excluded;
  const names = key.map(({ name }) => name);
  return new Set(columns.map(({ name }) => name).filter((name) => !names.includes(name)));
}

/**
 * `before`: the cursor is open, of another table. It ends with its transaction at the latest. `path`: under
 * which the names of the query are found, and those in its literals.
 */
export function declare(query: string, before: boolean, path = FINDING_PATH): string {
  const close = before ? `CLOSE ${CURSOR}; ` : "";
  return `${close}${path}; DECLARE ${CURSOR} NO SCROLL CURSOR FOR ${query}; ${PRINT_PATH}`;
}

/** A key's text is the name of something, which depends on the search path and may become another one's. */
export function isOfNames({ key }: Pick<ReadPlan, "key">): boolean {
  return key.some(isName);
}

function isName({ type: [schema, name] }: IndexColumnFacts): boolean {
  return schema === "pg_catalog" && name.startsWith("reg");
}

/** What {@linkcode select} gives of one row. */
export interface RowTexts {
  readonly columns: readonly (string | null)[];
  readonly key: readonly string[];
  /** The values of the key behind which, or by which, it can be read: OIDs in the place of names. */
  readonly keyValues: readonly string[];
  readonly passes: boolean;
}

export function rowTexts({ columns, key }: ReadPlan, values: readonly (string | null)[]): RowTexts {
  const [keyAt, oidsAt] = [columns.length, columns.length + key.length];
  const texts = values.slice(keyAt, oidsAt) as string[];
  let next = oidsAt;
  const keyValues = key.some(isName)
    ? key.map((column, place) => isName(column) ? values[next++]! : texts[place]!)
    : texts;
  return { columns: values.slice(0, keyAt), key: texts, keyValues, passes: values[next] === "t" };
}

/** The plan's columns, those of the key, OIDs of those that are names, and whether the row filter holds. */
function select(plan: ReadPlan, excluded: ReadonlySet<string>, form: RowForm): string {
  const isKey = (name: string) => plan.key.some((each) => each.name === name);
  const columns = plan.columns.map(({ name }) =>
    excluded.has(name)
      ? "NULL"
      : form === "lengths" && !isKey(name)
      ? lengthOf(name)
      : columnName(name)
  );
  const key = plan.key.map(({ name }) => columnName(name));
  const oids = plan.key.filter(isName).map(({ name }) => `${columnName(name)}::pg_catalog.oid`);
  const passes = plan.filter === undefined ? "true" : `COALESCE((${plan.filter}), false)`;
  return `SELECT ${[...columns, ...key, ...oids, passes].join(", ")} FROM ONLY ${
    quotedName(plan.facts)
  } AS t`;
}

/** With one operator for all columns the server finds the place in the index by all of them. */
function isLater({ key }: ReadPlan, after: readonly string[]): string {
  const operators = key.map(({ later }) => operator(later!));
  if (operators.every((each) => each === operators[0])) {
    const names = key.map(({ name }) => columnName(name)).join(", ");
    const values = key.map((column, place) => literal(column, after[place]!)).join(", ");
    return key.length === 1
      ? `${names} ${operators[0]} ${values}`
      : `ROW(${names}) ${operators[0]} ROW(${values})`;
  }
  return key.map((own, index) => {
    const same = key.slice(0, index).map((column, place) =>
      `${columnName(column.name)} ${operator(column.equal!)} ${literal(column, after[place]!)}`
    );
    const later = `${columnName(own.name)} ${operators[index]} ${literal(own, after[index]!)}`;
    return `(${[...same, later].join(" AND ")})`;
  }).join(" OR ");
}

function isEqual({ key }: ReadPlan, values: readonly string[]): string {
  return key.map((column, index) =>
    `${columnName(column.name)} ${operator(column.equal!)} ${literal(column, values[index]!)}`
  ).join(" AND ");
}

/** With its type, which operators of any composite type, and those of OIDs, do not give it. */
function literal({ type: [schema, name] }: IndexColumnFacts, value: string): string {
  return `${quoteLiteral(value)}::${quoteIdentifier(schema)}.${quoteIdentifier(name)}`;
}

function operator([schema, name]: readonly [string, string]): string {
  return `OPERATOR(${quoteIdentifier(schema)}.${name})`;
}

function columnName(name: string): string {
  return `t.${quoteIdentifier(name)}`;
}

/** Of its text in bytes, 0 for NULL. A cast to text could be a function of somebody's. */
function lengthOf(name: string): string {
  return `pg_catalog.octet_length(pg_catalog.concat(${columnName(name)}))`;
}
