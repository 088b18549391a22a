import type { LogOptions, PostgresOptions } from "../../options.ts";
import type { TableChoice } from "../control_message.ts";

/** What `pg2kinesis backfill` was asked for. */
export interface AskOptions {
  readonly postgres: PostgresOptions;
  /** The slot of the run that is asked. */
  readonly slot: string;
  /** That the run follows, with pgoutput. */
  readonly publications: readonly string[];
  readonly action: AskAction;
  readonly log: LogOptions;
}

export type AskAction =
  /** Globs of `schema.table`. */
  | { readonly kind: "request"; readonly tables: readonly string[]; readonly wait: boolean }
  | { readonly kind: "stop"; readonly tables: TableChoice }
  | { readonly kind: "status"; readonly json: boolean };
