import { type GlobMatcher, parseGlob } from "../format/filter/glob.ts";
import type { OpenRequest } from "./control_message.ts";
import type { Candidate } from "./read_facts.ts";

/** A pattern of a request. */
export interface TablePattern {
  readonly matches: GlobMatcher;
  /** It names one table, without any wildcard. */
  readonly isExact: boolean;
}

export function parsePattern(glob: string): TablePattern {
  return { matches: parseGlob(glob), isExact: !/[*?]/.test(glob.replace(/\\./gs, "")) };
}

type Named = Pick<Candidate, "name" | "kind" | "persistence" | "ancestors">;

/** Whether it has rows that could be read; those of a partitioned table are its partitions'. */
export function hasRows({ kind, persistence }: Pick<Named, "kind" | "persistence">): boolean {
  return kind === "r" && persistence !== "t";
}

/**
 * Whether a pattern asks for a table: by its own name, or that of a partitioned table above it. One that names
 * exactly what holds no rows of its own, such as a view, gets it, with the obstacle.
 */
export function asksFor({ matches, isExact }: TablePattern, table: Named): boolean {
  return hasRows(table)
    ? matches(table.name) || table.ancestors.some(matches)
    : isExact && table.kind !== "p" && matches(table.name);
}

/** The tables of a request, and what it asks for that is none. */
export interface Choice {
  readonly tables: readonly Candidate[];
  /** Globs that no table matches. */
  readonly unmatched: readonly string[];
  /** Tables that the filters of the run leave out, which matters of those that somebody named. */
  readonly filtered: readonly Candidate[];
}

/**
 * Chooses among all tables those that a request names, itself or by a table that they are partitions of, and
 * that the filters of the run let pass. A partitioned table has no rows itself. Where all tables are asked
 * for, only those count that can have changes in the slot. `isHeld`: a table of the request already, whatever
 * it is called now.
 */
export function chooseTables(
  { tables, except = [] }: OpenRequest,
  candidates: readonly Candidate[],
  isWanted: (qualifiedName: string) => boolean,
  isHeld: (oid: number) => boolean,
): Choice {
  const isExcepted = matchesAny(except);
  const globs = tables === "all"
    ? undefined
    : tables.map((glob) => ({ glob, ...parsePattern(glob) }));
  const matched = new Set<string>();
  const filtered: Candidate[] = [];
  const chosen = candidates.filter((candidate) => {
    const names = [candidate.name, ...candidate.ancestors];
    const asked = globs === undefined
      ? candidate.kind === "r" && candidate.persistence === "p"
      : globs.filter((glob) => asksFor(glob, candidate));
    // One without partitions is a table all the same.
    if (candidate.kind === "p") {
      for (const { glob, matches } of globs ?? []) if (names.some(matches)) matched.add(glob);
      return false;
    }
    if (typeof asked !== "boolean") { for (const { glob } of asked) matched.add(glob); }
    const isAsked = typeof asked === "boolean" ? asked : asked.length > 0;
    if (!isAsked && !isHeld(candidate.oid)) return false;
    if (names.some(isExcepted)) return false;
    if (isWanted(candidate.name)) return true;
    if (globs !== undefined || isHeld(candidate.oid)) filtered.push(candidate);
    return false;
  });
  return {
    tables: chosen,
    unmatched: (globs ?? []).map(({ glob }) => glob).filter((glob) => !matched.has(glob)),
    filtered,
  };
}

export function matchesAny(globs: readonly string[]): (qualifiedName: string) => boolean {
  const all = globs.map(parseGlob);
  return (name) => all.some((matches) => matches(name));
}
