import type { LogOptions, RunOptions } from "../options.ts";

/** By what the work is divided. */
export const SPLITS = ["rows", "tables"] as const;
export type Split = typeof SPLITS[number];

/** What `plan` was asked for. */
export interface PlanOptions {
  /** The one run that is to be spread; its slot's name is what the names of the parts begin with. */
  readonly run: RunOptions;
  readonly parts: number;
  readonly split: Split;
  /** Whether each part gets a stream of its own. */
  readonly ownStreams: boolean;
  readonly json: boolean;
  /** The arguments that each part's command line repeats. */
  readonly repeated: readonly string[];
  /** Those of part 0 alone. */
  readonly ofFirst: readonly string[];
  readonly log: LogOptions;
}
