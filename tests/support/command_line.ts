import { UsageError } from "../../src/base/errors.ts";
import type { RunOptions } from "../../src/options.ts";
import type { Machine } from "../../src/libpq/machine.ts";
import { parseCommandLine } from "../../src/cli/parse.ts";

export type Env = Record<string, string | undefined>;

/** A machine that has just these files. */
export function hostWith(
  files: Record<string, string> = {},
  distrust: Machine["distrust"] = () => undefined,
): Machine {
  return {
    os: "other",
    exists: (path) => Object.hasOwn(files, path),
    isFile: (path) => Object.hasOwn(files, path),
    othersMayRead: () => false,
    distrust,
    readTextFile: (path) => files[path],
  };
}

/** Parses a command line that must be a run's; a database and a user are there unless given. */
export function parseRun(
  args: readonly string[],
  env: Env = {},
  files: Record<string, string> = {},
): { options: RunOptions; warnings: readonly string[] } {
  const command = parseCommandLine(
    args,
    { PGDATABASE: "shop", PGUSER: "app", ...env },
    hostWith(files),
  );
  if (command.kind !== "run") throw new Error(`is ${command.kind}`);
  return command;
}

/** The message of the UsageError that a command line must end with; always one line. */
export function usageError(
  args: readonly string[],
  env: Env = {},
  files: Record<string, string> = {},
): string {
  try {
    parseRun(args, env, files);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    if (/[\r\n]/.test(error.message)) throw new Error(`more than one line: ${error.message}`);
    return error.message;
  }
  throw new Error(`no error for ${args.join(" ")}`);
}
