import type { LogOptions } from "../options.ts";

/** What `pg2kinesis tail` was asked for. */
export interface TailOptions {
  readonly streamName: string;
  readonly from: TailStart;
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

/** Where reading begins; `atMs` is in milliseconds since 1970. */
export type TailStart =
  | { readonly kind: "oldest" | "latest" }
  | { readonly kind: "time"; readonly atMs: number };
