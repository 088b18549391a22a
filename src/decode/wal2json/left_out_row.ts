import type { Operation } from "../../options.ts";

/** Whether the filters let an operation on a table pass, by `schema.table`. */
export type IsWanted = (operation: Operation, qualifiedName: string) => boolean;

/**
 * As wal2json writes it, in no other language: names in quotes that are not doubled inside them.
 * https://github.com/eulerto/wal2json/blob/wal2json_2_6/wal2json.c (pg_decode_write_change)
 */
const WARNING =
  /^no (?:old )?tuple (?:data|identifier) for (INSERT|UPDATE|DELETE) in table "(.*)"$/s;
const BETWEEN = '"."';

/**
 * Whether wal2json's warning that it left a row out may be of one that is wanted. It is so in doubt: a name
 * with quotes can be read in several ways, and then all of them must be unwanted.
 */
export function mayBeWanted(warning: string, isWanted: IsWanted): boolean {
  const [, word, names] = WARNING.exec(warning) ?? [];
  if (word === undefined || names === undefined) return true;
  const operation = word.toLowerCase() as Operation;
  let readings = 0;
  for (let at = names.indexOf(BETWEEN); at !== -1; at = names.indexOf(BETWEEN, at + 1)) {
    readings++;
    if (isWanted(operation, `${names.slice(0, at)}.${names.slice(at + BETWEEN.length)}`)) {
      return true;
    }
  }
  return readings === 0;
}
