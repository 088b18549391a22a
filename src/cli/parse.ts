import type { RunOptions } from "../options.ts";
import { UsageError } from "../errors.ts";
import { environmentTexts, nearestFlag, takeApart } from "./arguments.ts";
import { type CommandName, environmentName, type Flag, type TextCommandName } from "./flag.ts";
import { type FlagId, flagIds, flags, type FlagValues, MASK_SALT_VARIABLE } from "./flags.ts";
import { type HostView, thisHost } from "./host_view.ts";
import { choice } from "./flag_value.ts";
import { type Shell, SHELLS } from "./shells.ts";
import { buildRunOptions, type Origin, type Settings } from "./run_options.ts";
import { didYouMean } from "../did_you_mean.ts";
import type { TailOptions } from "../tail/tail_options.ts";
import { buildTailOptions } from "./tail_options.ts";

/** What the command line asks for. */
export type Command =
  | {
    readonly kind: "run";
    readonly options: RunOptions;
    /** Remarks on what was given, for the log. */
    readonly warnings: readonly string[];
  }
  | {
    readonly kind: "check";
    readonly options: RunOptions;
    readonly json: boolean;
    readonly warnings: readonly string[];
  }
  | {
    readonly kind: "tail";
    readonly options: TailOptions;
    readonly warnings: readonly string[];
  }
  | { readonly kind: "help"; readonly command: CommandName | TextCommandName }
  | { readonly kind: "completions"; readonly shell: Shell }
  | { readonly kind: "man" }
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
  const { command, operands, texts, fault } = takeApart(args);
  if (texts.has("help")) return { kind: "help", command };
  if (texts.has("version")) return { kind: "version" };
  if (fault !== undefined) throw fault;
  if (command === "completions") return { kind: "completions", shell: shellOf(operands) };
  if (command === "man") {
    if (operands.length > 0) throw new UsageError("pg2kinesis man takes no arguments");
    return { kind: "man" };
  }

  const origins = new Map<FlagId, Origin>();
  const values: Record<string, unknown> = {};
  for (const id of flagIds) {
    // What the environment says to other commands is not looked at.
    if (!isOf(command, flags[id])) {
      origins.set(id, "default");
      values[id] = flags[id].read([]);
      continue;
    }
    const typed = texts.get(id);
    const found = typed ?? environmentTexts(flags[id], env);
    const origin = typed !== undefined ? "argument" : found.length > 0 ? "environment" : "default";
    origins.set(id, origin);
    values[id] = read(flags[id], found, origin);
  }
  const settings: Settings = {
    values: values as FlagValues,
    originOf: (id) => origins.get(id)!,
  };
  const unknown = unknownVariables(env);
  if (command === "tail") {
    return { kind: "tail", options: buildTailOptions(settings), warnings: unknown };
  }
  const { options, warnings: remarks } = buildRunOptions(settings, env, host);
  const warnings = [...unknown, ...remarks];
  return command === "check"
    ? { kind: "check", options, json: settings.values.json, warnings }
    : { kind: "run", options, warnings };
}

function shellOf(operands: readonly string[]): Shell {
  const [shell, ...more] = operands;
  if (shell === undefined || more.length > 0) {
    throw new UsageError(`pg2kinesis completions takes one argument: ${SHELLS.join(", ")}`);
  }
  return choice(SHELLS)(shell);
}

const isOf = (command: CommandName, flag: Flag<unknown>) => flag.commands.includes(command);

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
      const flag = nearestFlag(name.slice("PG2KINESIS_".length))?.replace(/^--/, "");
      return `${name} is not a setting` +
        didYouMean(flag === undefined ? undefined : environmentName({ name: flag }));
    },
  );
}
