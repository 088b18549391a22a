/** Something that keeps a run from working: the run ends with it, a check lists it. */
export interface Problem {
  /** What was found, one line without its end. */
  readonly found: string;
  /** What to do, in words, one line. */
  readonly advice: string;
  /** What fixes it, to the letter. */
  readonly remedy: Remedy;
}

/** What somebody who reads of a problem can copy. */
export type Remedy =
  /** Run in this order, in the database of the run; `then`: what must be done after that. */
  | { readonly kind: "sql"; readonly statements: readonly string[]; readonly then?: string }
  /** Options of the command line. */
  | { readonly kind: "options"; readonly options: string }
  /** A statement of an IAM policy. */
  | { readonly kind: "policy"; readonly actions: readonly string[]; readonly resource: string }
  /** A command for a shell. */
  | { readonly kind: "command"; readonly command: string; readonly then?: string }
  /** Nothing that could be copied. */
  | { readonly kind: "advice"; readonly text: string };
