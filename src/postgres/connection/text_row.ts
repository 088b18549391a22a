import { type Lsn, parseLsn } from "../../base/lsn.ts";

/**
 * A row as the server's text: no value passes through a float or a Date. A column that an older server
 * does not have is undefined; to read it is to read a NULL.
 */
export type TextRow = Record<string, string | null>;

type Text = string | null | undefined;

/** A boolean, printed alone (`t`) or cast to text (`true`); NULL is false. */
export function isTrue(text: Text): boolean {
  return text === "t" || text === "true";
}

/** NULL, and a column that the server does not have, are undefined. */
export function numberOf(text: Text): number | undefined {
  return text === null || text === undefined ? undefined : Number(text);
}

/** As {@linkcode numberOf}. Throws a SyntaxError for what is no LSN. */
export function lsnOf(text: Text): Lsn | undefined {
  return text === null || text === undefined ? undefined : parseLsn(text);
}
