import type { RunOptions } from "../options.ts";
import { UsageError } from "../errors.ts";
import { environmentTexts, nearestFlag, takeApart } from "./arguments.ts";
import { environmentName, type Flag } from "./flag.ts";
import { type FlagId, flagIds, flags, type FlagValues, MASK_SALT_VARIABLE } from "./flags.ts";
import { type HostView, thisHost } from "./host_view.ts";
import { buildRunOptions, type Origin } from "./run_options.ts";

/** What the command line asks for. */
export type Command =
  | {
    readonly kind: "run";
    readonly options: RunOptions;
    /** Remarks on what was given, for the log. */
    readonly warnings: readonly string[];
  }
  | { readonly kind: "help" }
  | { readonly kind: "version" };

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Reads a command line and its environment; a flag wins over its variable. Only validates: nothing
 * is connected to, and of the machine only the files that libpq would look at are looked at.
 * @throws {UsageError} with one line that holds neither a password nor a URL.
 */
export function parseCommandLine(
  args: readonly string[],
  env: Environment,
  host: HostView = thisHost,
): Command {
  const { texts, fault } = takeApart(args);
  if (texts.has("help")) return { kind: "help" };
  if (texts.has("version")) return { kind: "version" };
  if (fault !== undefined) throw fault;

  const origins = new Map<FlagId, Origin>();
  const values: Record<string, unknown> = {};
  for (const id of flagIds) {
    const typed = texts.get(id);
    const found = typed ?? environmentTexts(flags[id], env);
    const origin = typed !== undefined ? "argument" : found.length > 0 ? "environment" : "default";
    origins.set(id, origin);
    values[id] = read(flags[id], found, origin);
  }
  const { options, warnings } = buildRunOptions(
    { values: values as FlagValues, originOf: (id) => origins.get(id)! },
    env,
    host,
  );
  return { kind: "run", options, warnings: [...unknownVariables(env), ...warnings] };
}

/** Reads a flag's texts, with the flag or the variable named in front of what is wrong with them. */
function read(flag: Flag<unknown>, texts: readonly string[], origin: Origin): unknown {
  try {
    return flag.read(texts);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    const name = origin === "environment" ? environmentName(flag) : `--${flag.name}`;
    throw new UsageError(`${name}: ${error.message}`);
  }
}

/** A mistyped variable is worth a remark only: it may as well be somebody else's. */
function unknownVariables(env: Environment): string[] {
  const known = new Set([
    ...Object.values(flags).map(environmentName),
    MASK_SALT_VARIABLE,
  ]);
  return Object.keys(env).filter((name) => /^PG2KINESIS_/.test(name) && !known.has(name)).map(
    (name) => {
      if (name === "PG2KINESIS_PG_PASSWORD") {
        return `${name} is not read; put the password into PGPASSWORD or ~/.pgpass`;
      }
      const nearest = nearestFlag(name.slice("PG2KINESIS_".length)).replace(/^--/, "");
      return `${name} is not a setting; did you mean ${environmentName({ name: nearest })}?`;
    },
  );
}
