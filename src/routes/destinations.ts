import type { Relation } from "../decode/event.ts";
import { Routes } from "../format/filter/first_route.ts";
import { parseGlob } from "../format/filter/glob.ts";
import type { Route } from "../options.ts";
import type { Catalog } from "../postgres/catalog/known_table.ts";
import { fillIn, routeText } from "./route.ts";

/** Where a table's changes, or a message, go. */
export interface Destination {
  /** The stream's name or ARN; undefined: nowhere, they are dropped. */
  readonly stream: string | undefined;
  /** By which route; undefined: by none, so that it is the stream of all that has none. */
  readonly route: Route | undefined;
}

/** The streams of tables and messages: by the first route that matches, else the one beside the routes. */
export class Destinations {
  readonly #routes: Routes;

  constructor(
    routes: readonly Route[],
    private readonly otherwise: string,
    private readonly catalog: Catalog,
  ) {
    this.#routes = new Routes(routes, catalog);
  }

  /** Where a table above it matches, a template is filled in with that table's name. */
  ofTable({ schema, table, qualifiedName }: Relation): Destination {
    const match = this.#routes.ofTable(qualifiedName);
    if (match === undefined) return { stream: this.otherwise, route: undefined };
    const { route, name } = match;
    const named = name === qualifiedName ? undefined : this.catalog.table(name);
    const stream = route.stream &&
      fillIn(route.stream, named?.schema ?? schema, named?.table ?? table);
    return { stream, route };
  }

  ofMessage(prefix: string): Destination {
    const match = this.#routes.ofMessage(prefix);
    return match === undefined
      ? { stream: this.otherwise, route: undefined }
      : { stream: match.route.stream, route: match.route };
  }

  /** Whether other tables above it would make another stream a table's. */
  dependsOnParents({ qualifiedName }: Relation): boolean {
    return this.#routes.dependsOnParents(qualifiedName);
  }
}

/** Of a template that a table's name makes longer than Kinesis takes. */
export function nameTooLong({ stream, route }: Destination): string {
  return `--route ${
    routeText(route!)
  } makes the stream's name ${stream}, which is longer than the 128 ` +
    "characters that Kinesis takes; give the table a route of its own before it";
}

/** A route by which none of today's tables goes: mostly a slip of the pen. */
export interface IdleRoute {
  /** As it was given. */
  readonly route: string;
  /** One line, without an end. */
  readonly why: string;
}

export function idleRoutes(routes: readonly Route[], catalog: Catalog): readonly IdleRoute[] {
  const table = new Routes(routes, catalog);
  const names = [...catalog.tables()].map((known) => `${known.schema}.${known.table}`);
  const used = new Set(names.map((name) => table.ofTable(name)?.route));
  return routes.filter((route) => route.of === "table" && !used.has(route)).map((route) => ({
    route: routeText(route),
    why: names.some(parseGlob(route.glob))
      ? "the tables that it matches have an earlier route"
      : `it matches none of the database's ${names.length} tables`,
  }));
}
