/**
 * The run cannot go on. The message is one line for the operator: what was tried, what was found,
 * the next step. Exit code 1; `cause` is shown with `--log-level debug` only.
 */
export class RunError extends Error {
  override name = "RunError";
}

/** The command line or the environment asks for something impossible. One line, exit code 2. */
export class UsageError extends Error {
  override name = "UsageError";
}

/**
 * A text came out longer than any record can be, and was given up before it took the memory. `bytes`
 * is what it has at least.
 */
export class TooLargeError extends Error {
  override name = "TooLargeError";
  constructor(readonly bytes: number) {
    super(`a text of ${bytes} bytes or more is longer than any record can be`);
  }
}

/** A request that may not be sent any more, when it is ready. Nothing left this host. */
export class NotSent extends Error {
  override name = "NotSent";

  constructor() {
    super("the request may not be sent any more");
  }
}
