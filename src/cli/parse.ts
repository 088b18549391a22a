import { buildBackfillOptions } from "./build_backfill_options.ts";
import { buildHealthOptions, type HealthOptions } from "./build_health_options.ts";
import { buildPlanOptions } from "./build_plan_options.ts";
import type { AskOptions } from "../backfill/ask/ask_options.ts";
import type { RunOptions } from "../options.ts";
import type { PlanOptions } from "../plan/plan_options.ts";
import { UsageError } from "../base/errors.ts";
import { type Arguments, environmentTexts, nearestFlag, takeApart } from "./arguments.ts";
import { type ConfigFile, readConfigFile } from "./config_file.ts";
import { type CommandName, environmentName, type Flag, type TextCommandName } from "./flag.ts";
import { type FlagId, flagIds, flags, type FlagValues, MASK_SALT_VARIABLE } from "./flags.ts";
import { type Machine, thisMachine } from "../libpq/machine.ts";
import { choice } from "../base/value_parsers.ts";
import { type Shell, SHELLS } from "./shells.ts";
import { buildRunOptions, type Origin, type Settings } from "./build_run_options.ts";
import { didYouMean } from "../base/did_you_mean.ts";
import type { TailOptions } from "../tail/tail_options.ts";
import { buildTailOptions } from "./build_tail_options.ts";

/** What the command line asks for. */
export type Command =
  | {
    readonly kind: "run";
    readonly options: RunOptions;
    readonly config: ConfigFile | undefined;
    /** Remarks on what was given, for the log. */
    readonly warnings: readonly string[];
  }
  | {
    readonly kind: "check";
    readonly options: RunOptions;
    readonly config: ConfigFile | undefined;
    readonly json: boolean;
    readonly warnings: readonly string[];
  }
  | {
    readonly kind: "backfill";
    readonly options: AskOptions;
    readonly warnings: readonly string[];
  }
  | {
    readonly kind: "plan";
    readonly options: PlanOptions;
    readonly warnings: readonly string[];
  }
  | {
    readonly kind: "tail";
    readonly options: TailOptions;
    readonly warnings: readonly string[];
  }
  | {
    readonly kind: "health";
    readonly options: HealthOptions;
    readonly warnings: readonly string[];
  }
  | { readonly kind: "help"; readonly command: CommandName | TextCommandName }
  | { readonly kind: "completions"; readonly shell: Shell }
  | { readonly kind: "man" | "schema" }
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
  host: Machine = thisMachine,
): Command {
  const { command, operands, texts, fault } = takeApart(args);
  if (texts.has("help")) return { kind: "help", command };
  if (texts.has("version")) return { kind: "version" };
  if (fault !== undefined) throw fault;
  if (command === "completions") return { kind: "completions", shell: shellOf(operands) };
  if (command === "man" || command === "schema") {
    if (operands.length > 0) throw new UsageError(`pg2kinesis ${command} takes no arguments`);
    return { kind: command };
  }

  const config = openConfig(texts, env, host);
  const origins = new Map<FlagId, Origin>();
  const values: Record<string, unknown> = {};
  for (const id of flagIds) {
    // What the environment says to other commands is not looked at.
    if (!isOf(command, flags[id])) {
      origins.set(id, "default");
      values[id] = flags[id].read([]);
      continue;
    }
    const given = layersOf(id, texts, env, config);
    origins.set(id, given[0]?.origin ?? "default");
    values[id] = readAll(flags[id], given, config);
  }
  const settings: Settings = {
    values: values as FlagValues,
    originOf: (id) => origins.get(id)!,
    nameOf: (id) => nameOf(flags[id], origins.get(id)!, config),
  };
  const unknown = unknownVariables(env);
  if (command === "tail") {
    return { kind: "tail", options: buildTailOptions(settings), warnings: unknown };
  }
  if (command === "health") {
    return { kind: "health", options: buildHealthOptions(settings), warnings: [] };
  }
  if (command === "backfill") {
    const { options, warnings: remarks } = buildBackfillOptions(settings, env, host);
    const warnings = [...unknown, ...remarks, ...readableSecrets(settings, config, host)];
    return { kind: "backfill", options, warnings };
  }
  if (command === "plan") {
    const { options, warnings: remarks } = buildPlanOptions(settings, texts, env, host);
    const warnings = [...unknown, ...remarks, ...readableSecrets(settings, config, host)];
    return { kind: "plan", options, warnings };
  }
  const { options, warnings: remarks } = buildRunOptions(settings, env, host);
  const warnings = [...unknown, ...remarks, ...readableSecrets(settings, config, host)];
  return command === "check"
    ? { kind: "check", options, config, json: settings.values.json, warnings }
    : { kind: "run", options, config, warnings };
}

function shellOf(operands: readonly string[]): Shell {
  const [shell, ...more] = operands;
  if (shell === undefined || more.length > 0) {
    throw new UsageError(`pg2kinesis completions takes one argument: ${SHELLS.join(", ")}`);
  }
  return choice(SHELLS)(shell);
}

const isOf = (command: CommandName, flag: Flag<unknown>) => flag.commands.includes(command);

/** A file of the operator's may hold a URL with a password, as long as it is the operator's alone. */
function readableSecrets(
  { values, originOf }: Settings,
  config: ConfigFile | undefined,
  host: Machine,
): readonly string[] {
  if (config === undefined || originOf("pgUrl") !== "file" || !values.pgUrl?.has("password")) {
    return [];
  }
  if (!host.othersMayRead(config.path)) return [];
  return [
    `pg-url in ${config.path} has a password, and other users of this machine can read the file; ` +
    `chmod 600 it, or put the password into PGPASSWORD or ~/.pgpass`,
  ];
}

interface Layer {
  readonly origin: Origin;
  readonly texts: readonly string[];
}

/** What is given for a flag, the strongest first; only the first counts unless the flag is cumulative. */
function layersOf(
  id: FlagId,
  typed: Arguments["texts"],
  env: Environment,
  config: ConfigFile | undefined,
): readonly Layer[] {
  const layers: Layer[] = [
    { origin: "argument", texts: typed.get(id) ?? [] },
    { origin: "environment", texts: environmentTexts(flags[id], env) },
    { origin: "file", texts: config?.texts.get(id) ?? [] },
  ];
  const given = layers.filter(({ texts }) => texts.length > 0);
  const { cumulative = false }: Flag<unknown> = flags[id];
  return cumulative ? given : given.slice(0, 1);
}

function openConfig(
  typed: Arguments["texts"],
  env: Environment,
  host: Machine,
): ConfigFile | undefined {
  const [given] = layersOf("config", typed, env, undefined);
  if (given === undefined) return undefined;
  const path = read(flags.config, given, undefined) as string;
  return readConfigFile(path, host);
}

/** Each layer by itself first, so that what is wrong names where it stands. */
function readAll(
  flag: Flag<unknown>,
  layers: readonly Layer[],
  config: ConfigFile | undefined,
): unknown {
  if (layers.length === 0) return flag.read([]);
  const values = layers.map((layer) => read(flag, layer, config));
  return layers.length === 1 ? values[0] : flag.read(layers.flatMap(({ texts }) => texts));
}

/** Reads a flag's texts, with the name by which they were given in front of what is wrong with them. */
function read(flag: Flag<unknown>, layer: Layer, config: ConfigFile | undefined): unknown {
  try {
    return flag.read(layer.texts);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    throw new UsageError(`${nameOf(flag, layer.origin, config)}: ${error.message}`);
  }
}

/** A flag as the operator gave it. */
function nameOf(flag: Flag<unknown>, origin: Origin, config: ConfigFile | undefined): string {
  if (origin === "file") return `${flag.name} in ${config!.path}`;
  return origin === "environment" ? environmentName(flag) : `--${flag.name}`;
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
