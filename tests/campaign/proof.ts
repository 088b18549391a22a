/** What a proof came to. */
export interface Proof {
  /** The figures. */
  readonly lines: readonly string[];
  readonly isProven: boolean;
}
