import type { LogOptions } from "../options.ts";

/** What `pg2kinesis tail` was asked for. */
export interface TailOptions {
  /** Names or ARNs, at least one. */
  readonly streams: readonly string[];
  readonly from: TailStart;
  /** Only the last ones; where no start is given, it is looked for from the end on. */
  readonly last: { readonly records: number; readonly isStartGiven: boolean } | undefined;
  /** Go on with what arrives. */
  readonly follow: boolean;
  /** Only this one. */
  readonly shardId: string | undefined;
  readonly json: boolean;
  readonly verify: boolean;
  /** With `verify`: the stream carries every change of the database, so no `seq` may be missing. */
  readonly expectAll: boolean;
  readonly log: LogOptions;
}

/** Where reading begins; `atMs` is in milliseconds since 1970, `ms` before now. */
export type TailStart =
  | { readonly kind: "oldest" | "latest" }
  | { readonly kind: "ago"; readonly ms: number }
  | { readonly kind: "time"; readonly atMs: number };
