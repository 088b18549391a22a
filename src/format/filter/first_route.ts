import type { Route } from "../../options.ts";
import type { Catalog } from "../../postgres/catalog/known_table.ts";
import { withAncestors } from "./ancestors.ts";
import { parseGlob } from "./glob.ts";

/** A route that matches, and for a table the name that it matched: its own, or that of one above it. */
export interface Match {
  readonly route: Route;
  readonly name: string;
}

/** Finds the first route of a table, by `schema.table`, or of a message, by its prefix. */
export class Routes {
  readonly #tables: readonly Entry[];
  readonly #messages: readonly Entry[];

  /** Without a catalog a table's own name alone counts. */
  constructor(routes: readonly Route[], private readonly catalog?: Catalog) {
    const entries = routes.map((route) => ({ route, matches: parseGlob(route.glob) }));
    this.#tables = entries.filter(({ route }) => route.of === "table");
    this.#messages = entries.filter(({ route }) => route.of === "message");
  }

  /**
   * A table matches by its own name, or by that of a table that it is a partition of or inherits from.
   */
  ofTable(qualifiedName: string): Match | undefined {
    let names: readonly string[] | undefined;
    for (const { route, matches } of this.#tables) {
      if (matches(qualifiedName)) return { route, name: qualifiedName };
      names ??= this.catalog === undefined ? [] : [...withAncestors(qualifiedName, this.catalog)];
      const name = names.find(matches);
      if (name !== undefined) return { route, name };
    }
    return undefined;
  }

  ofMessage(prefix: string): Match | undefined {
    const found = this.#messages.find(({ matches }) => matches(prefix));
    return found && { route: found.route, name: prefix };
  }

  /** Whether a table above it could make another route the first one of a table. */
  dependsOnParents(qualifiedName: string): boolean {
    return this.#tables.length > 0 && !this.#tables[0]!.matches(qualifiedName);
  }
}

interface Entry {
  readonly route: Route;
  readonly matches: (name: string) => boolean;
}

/** Whether changes that a route matches are left out. */
export function drops({ stream }: Route): boolean {
  return stream === undefined;
}
