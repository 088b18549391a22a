import { parseGlob } from "../format/filter/glob.ts";
import type { OpenRequest } from "./control_message.ts";
import type { Candidate } from "./read_facts.ts";

/** The tables of a request, and what it asks for that is none. */
export interface Choice {
  readonly tables: readonly Candidate[];
  /** Globs that no table matches. */
  readonly unmatched: readonly string[];
  /** Tables that the filters of the run leave out. */
  readonly filtered: readonly string[];
}

/**
 * Chooses among all tables those that a request names, itself or by a table that they are partitions of, and
 * that the filters of the run let pass. A partitioned table has no rows itself. Where all tables are asked
 * for, only those count that can have changes in the slot.
 */
export function chooseTables(
  { tables, except = [] }: OpenRequest,
  candidates: readonly Candidate[],
  isWanted: (qualifiedName: string) => boolean,
): Choice {
  const excepted = except.map(parseGlob);
  const globs = tables === "all"
    ? undefined
    : tables.map((glob) => ({ glob, matches: parseGlob(glob) }));
  const matched = new Set<string>();
  const filtered: string[] = [];
  const chosen = candidates.filter((candidate) => {
    const names = [candidate.name, ...candidate.ancestors];
    const asked = globs === undefined
      ? candidate.kind === "r" && candidate.isPermanent
      : globs.filter(({ matches }) => names.some(matches));
    if (asked === false || asked !== true && asked.length === 0) return false;
    if (asked !== true) { for (const { glob } of asked) matched.add(glob); }
    if (candidate.kind === "p") return false;
    if (names.some((name) => excepted.some((matches) => matches(name)))) return false;
    if (isWanted(candidate.name)) return true;
    filtered.push(candidate.name);
    return false;
  });
  return {
    tables: chosen,
    unmatched: (globs ?? []).map(({ glob }) => glob).filter((glob) => !matched.has(glob)),
    filtered: globs === undefined ? [] : filtered,
  };
}

/** Whether a table was stopped after it was asked for. */
export function isStopped(
  { except = [] }: OpenRequest,
  names: readonly string[],
): boolean {
  return except.some((glob) => names.some(parseGlob(glob)));
}
