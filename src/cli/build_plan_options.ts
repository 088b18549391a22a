import { UsageError } from "../base/errors.ts";
import { PLUGINS } from "../decode/plugins.ts";
import type { PlanOptions } from "../plan/plan_options.ts";
import type { Machine } from "../libpq/machine.ts";
import type { Arguments } from "./arguments.ts";
import { buildRunOptions, type Settings } from "./build_run_options.ts";
import type { Flag } from "./flag.ts";
import { type FlagId, flagIds, flags } from "./flags.ts";

/** Flags that the plan itself answers, or that would undo it: no part's command line repeats them. */
const NOT_REPEATED: ReadonlySet<FlagId> = new Set<FlagId>([
  ...["parts", "split", "ownStreams", "json"] as const,
  ...["pgSlotName", "pgSlotOutputPlugin", "streamName", "metricsAddr", "messagePrefix"] as const,
  ...["createSlot", "slotFailover", "backfill", "createPublication", "partitionRoot"] as const,
]);

/** A slot's and a publication's name. */
const MAX_NAME_BYTES = 63;

/** Fits the flags of `plan`, those of a run among them, to each other. Changes nothing. */
export function buildPlanOptions(
  given: Settings,
  typed: Arguments["texts"],
  env: Readonly<Record<string, string | undefined>>,
  host: Machine,
): { readonly options: PlanOptions; readonly warnings: readonly string[] } {
  const { values, originOf, nameOf } = given;
  const { parts } = values;
  if (parts === undefined) {
    throw new UsageError("pg2kinesis plan needs --parts N, the number of runs that share the work");
  }
  const isChosen = originOf("pgSlotOutputPlugin") !== "default";
  if (isChosen && !PLUGINS[values.pgSlotOutputPlugin].usesPublications) {
    throw new UsageError(
      `${
        nameOf("pgSlotOutputPlugin")
      }: ${values.pgSlotOutputPlugin} has no publications, by which the ` +
        "work is divided; leave it out for pgoutput, or give each of several runs its own --include-table",
    );
  }
  refuseUnfit(given);
  const longest = `${values.pgSlotName}_${parts - 1}`;
  if (new TextEncoder().encode(longest).length > MAX_NAME_BYTES) {
    throw new UsageError(
      `${
        nameOf("pgSlotName")
      }: ${longest} would be longer than the ${MAX_NAME_BYTES} bytes of a name`,
    );
  }
  // As of the one run that would make everything itself.
  const whole = {
    ...values,
    ...{ pgSlotOutputPlugin: "pgoutput", createSlot: true, createPublication: true } as const,
  };
  const { options: run, warnings } = buildRunOptions({ ...given, values: whole }, env, host);
  const repeated = flagIds.filter((id) => !NOT_REPEATED.has(id)).flatMap((id) =>
    argumentsOf(flags[id], typed.get(id) ?? [])
  );
  // What the environment or a file says would make a publication of everything, or ask again for all rows.
  for (const id of ["createPublication", "backfill"] as const) {
    const isOwn = id === "backfill" && run.slot.backfill;
    if (values[id] && originOf(id) !== "argument" && !isOwn) {
      repeated.push(`--no-${flags[id].name}`);
    }
  }
  return {
    options: {
      ...{
        run,
        parts,
        split: values.split,
        ownStreams: values.ownStreams,
        json: values.json,
        repeated,
      },
      ofFirst: argumentsOf(flags.messagePrefix, typed.get("messagePrefix") ?? []),
      log: run.log,
    },
    warnings,
  };
}

/** What the parts could not keep as one run does. */
function refuseUnfit({ values, originOf, nameOf }: Settings): void {
  const refuse = (id: FlagId, why: string): never => {
    throw new UsageError(`${nameOf(id)} ${why}`);
  };
  if (values.pgPublication.length > 0) {
    refuse("pgPublication", "does not go with plan, which names each publication like its slot");
  }
  if (values.recreateSlot) {
    refuse("recreateSlot", "does not go with plan, whose slots are new");
  }
  const { kind } = values.partitionKey;
  if (kind !== "pkey" && !(kind === "table" && values.split === "tables")) {
    refuse(
      "partitionKey",
      `${kind} puts changes of several keys in one order, which runs of several parts cannot keep` +
        (kind === "table" ? "; --split tables can" : ""),
    );
  }
  if (values.transactionRecords && !values.ownStreams) {
    refuse(
      "transactionRecords",
      "needs --own-streams: each run counts only its own part of a transaction, and a consumer of one " +
        "stream could not tell the counts apart",
    );
  }
  if (values.messagePrefix.length > 0 && originOf("messagePrefix") !== "argument") {
    refuse(
      "messagePrefix",
      "would make every part publish the messages; remove it there, and give it to plan as a flag",
    );
  }
  if (originOf("pgUrl") === "argument" && values.pgUrl?.has("password")) {
    refuse(
      "pgUrl",
      "has a password, which plan would print; put it into PGPASSWORD or ~/.pgpass, or the URL into " +
        "PG2KINESIS_PG_URL",
    );
  }
}

/** A flag as it is typed. */
function argumentsOf({ name, placeholder }: Flag<unknown>, texts: readonly string[]): string[] {
  return texts.flatMap((text) => {
    if (placeholder === undefined) return [text === "true" ? `--${name}` : `--${name}=${text}`];
    return /^-./.test(text) ? [`--${name}=${text}`] : [`--${name}`, text];
  });
}
