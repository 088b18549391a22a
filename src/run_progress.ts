/** Why changes were left out other than by a filter: most of these are policies. */
export const SKIP_REASONS = [
  "no_key",
  "key_not_sent",
  "unknown_table",
  "oversize",
  "left_out_by_server",
  "ambiguous_message",
] as const;

export type SkipReason = typeof SKIP_REASONS[number];

/** What a run has done so far; the stages count, whoever reports reads. */
export class Progress {
  /** Row changes, truncations and logical messages to be published that were received. */
  changes = 0;
  /** Bytes of the output plugin's messages. */
  bytes = 0;
  /** Changes of which a filter, or the formatter, made no record. */
  filtered = 0;
  /** Changes left out by a policy. */
  readonly skipped: Record<SkipReason, number> = {
    no_key: 0,
    key_not_sent: 0,
    unknown_table: 0,
    oversize: 0,
    left_out_by_server: 0,
    ambiguous_message: 0,
  };
  /** Changes published without their columns, since they are larger than the stream takes. */
  keyOnly = 0;
  transactions = 0;
  /** Of the last transaction that began. */
  xid = 0;
}
