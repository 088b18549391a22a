import { PLUGINS } from "../decode/plugins.ts";
import { withAncestors } from "../format/filter/ancestors.ts";
import type { Relation } from "../decode/event.ts";
import type { Route } from "../options.ts";
import type { Catalog } from "../postgres/catalog/known_table.ts";
import { publishedTables } from "../postgres/catalog/published_tables.ts";
import { someOf } from "../base/quantity.ts";
import { Destinations, idleRoutes, nameTooLong } from "../routes/destinations.ts";
import { isStreamName, isTemplate, routeText } from "../routes/route.ts";
import { todaysTables } from "../routes/todays_tables.ts";
import type { ServerContext } from "./server_context.ts";

/** By the streams of a run, the tables of today whose changes go there. */
export type StreamTables = ReadonlyMap<string, readonly string[]>;

/** Streams whose names come of a template, with its route and what the tables put in its place. */
type Templates = Map<string, { readonly route: Route; readonly names: Set<string> }>;

/** Says what is odd about the routes with the tables of today, and which streams these have. */
export async function checkRoutes(context: ServerContext): Promise<StreamTables> {
  const { catalog, connection, findings, options: { format, slot } } = context;
  const found = new Map<string, string[]>();
  const templates: Templates = new Map();
  if (format.routes.length === 0) return found;
  for (const { route, why } of idleRoutes(format.routes, catalog)) {
    findings.warn("routes", `--route ${route} takes no table now: ${why}`);
  }
  const published = PLUGINS[slot.plugin].usesPublications
    ? await publishedTables(connection, slot.publications)
    : undefined;
  const destinations = new Destinations(format.routes, context.options.stream.name, catalog);
  for (const table of todaysTables(catalog, context.wanted, published)) {
    const destination = destinations.ofTable(table);
    if (destination.stream === undefined) continue;
    if (!isStreamName(destination.stream)) {
      findings.stop("routes", `${table.qualifiedName}: ${nameTooLong(destination)}`);
      continue;
    }
    const { stream, route } = destination;
    found.set(stream, [...found.get(stream) ?? [], table.qualifiedName]);
    if (route?.stream === undefined || !isTemplate(route.stream)) continue;
    const { names } = templates.get(stream) ?? { names: new Set<string>() };
    templates.set(stream, { route, names: names.add(whatFillsIn(route.stream, table)) });
  }
  if (found.size > 0) {
    const all = [...found].map(([stream, tables]) => `${stream} of ${someOf(tables, 3)}`);
    findings.ok("routes", `today's tables go to ${someOf(all)}`);
  }
  reportTwins(context, found, templates);
  reportHiddenPartitions(context, published?.roots ?? []);
  return found;
}

/** What of a table's name stands in the stream's, as it is. */
function whatFillsIn(template: string, { schema, table }: Relation): string {
  return JSON.stringify([
    template.includes("{schema}") ? schema : "",
    template.includes("{table}") ? table : "",
  ]);
}

/** Tables that a template does not tell apart, since Kinesis takes fewer characters than PostgreSQL. */
function reportTwins(
  { findings }: ServerContext,
  tables: StreamTables,
  templates: Templates,
): void {
  for (const [stream, { route, names }] of templates) {
    if (names.size < 2) continue;
    findings.warn(
      "routes",
      `${someOf(tables.get(stream)!)} all go to ${stream} by --route ${
        routeText(route)
      }: what Kinesis ` +
        "does not take in a name becomes _",
    );
  }
}

/** A route of a partition has no effect where its changes come under the root's name. */
function reportHiddenPartitions(
  { catalog, findings, options: { format } }: ServerContext,
  roots: readonly string[],
): void {
  for (const route of format.routes) {
    if (route.of !== "table" || /[*?\\]/.test(route.glob)) continue;
    const root = rootOf(route.glob, roots, catalog);
    if (root === undefined) continue;
    findings.warn(
      "routes",
      `--route ${
        routeText(route)
      } has no effect: the changes of ${route.glob} come as those of ${root} ` +
        "(publish_via_partition_root)",
    );
  }
}

function rootOf(name: string, roots: readonly string[], catalog: Catalog): string | undefined {
  if (roots.includes(name)) return undefined;
  const above = withAncestors(name, catalog);
  return roots.find((root) => above.has(root));
}
