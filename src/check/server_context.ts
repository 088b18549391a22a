import type { RunOptions } from "../options.ts";
import type { Catalog } from "../postgres/catalog/known_table.ts";
import type { Connection } from "../postgres/connection/connection.ts";
import type { ServerFacts } from "../postgres/slot/server_facts.ts";
import type { Findings } from "./finding.ts";

/** What the checks of one server have in common. */
export interface ServerContext {
  readonly connection: Connection;
  readonly options: RunOptions;
  readonly facts: ServerFacts;
  readonly catalog: Catalog;
  /** Says of a table, by `schema.table`, whether the flags ask for it. */
  readonly wanted: (qualifiedName: string) => boolean;
  readonly findings: Findings;
  readonly signal: AbortSignal;
}
