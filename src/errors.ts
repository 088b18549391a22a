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
