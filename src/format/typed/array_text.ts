import { quotedAt } from "./quoted.ts";

/** An array as PostgreSQL prints it, taken apart: texts, nulls, and arrays where it has more dimensions. */
export type ArrayText = readonly (string | null | ArrayText)[];

/** PostgreSQL's MAXDIM. */
const MAX_DIMENSIONS = 6;

/**
 * Reads `{1,NULL,"a b"}`, `[2:4]={1,2,3}`, `{{1,2},{3,4}}`; undefined for anything else. Bounds are not
 * kept. A quoted element may have any character, with a backslash before quotes and backslashes.
 * https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO
 */
export function parseArray(text: string, delimiter = ","): ArrayText | undefined {
  const start = text.startsWith("[") ? text.indexOf("={") + 1 : 0;
  const open: (string | null | ArrayText)[][] = [];
  let at = start;
  /** Whether an element, a nested array or nothing at all may stand here. */
  let expectsElement = true;
  while (at < text.length) {
    const character = text[at];
    if (character === "{") {
      if (!expectsElement || open.length === MAX_DIMENSIONS) return undefined;
      open.push([]);
      at++;
    } else if (character === "}") {
      const array = open.pop();
      if (array === undefined || (expectsElement && array.length > 0)) return undefined;
      at++;
      if (open.length === 0) return at === text.length ? array : undefined;
      open.at(-1)!.push(array);
      expectsElement = false;
    } else if (character === delimiter) {
      if (expectsElement) return undefined;
      expectsElement = true;
      at++;
    } else {
      const array = open.at(-1);
      if (array === undefined || !expectsElement) return undefined;
      if (character === '"') {
        const quoted = quotedAt(text, at);
        if (quoted === undefined) return undefined;
        array.push(quoted.text);
        at = quoted.end;
      } else {
        const from = at;
        while (at < text.length && text[at] !== delimiter && text[at] !== "}") at++;
        const element = text.slice(from, at);
        array.push(element === "NULL" ? null : element);
      }
      expectsElement = false;
    }
  }
  return undefined;
}
