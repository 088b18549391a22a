import type { AskAction, AskOptions } from "../backfill/ask/ask_options.ts";
import { MAX_TABLES } from "../backfill/control_message.ts";
import { UsageError } from "../base/errors.ts";
import { buildPostgresOptions, type Settings } from "./build_run_options.ts";
import type { Machine } from "../libpq/machine.ts";

/** Fits the flags of `backfill` to each other. Looks at files, and changes nothing. */
export function buildBackfillOptions(
  settings: Settings,
  env: Readonly<Record<string, string | undefined>>,
  host: Machine,
): { readonly options: AskOptions; readonly warnings: readonly string[] } {
  const { values } = settings;
  const { postgres, warnings } = buildPostgresOptions(settings, env, host);
  const options: AskOptions = {
    postgres,
    slot: values.pgSlotName,
    publications: values.pgPublication.length > 0 ? values.pgPublication : [values.pgSlotName],
    action: actionOf(settings),
    log: { format: values.logFormat, level: values.logLevel },
  };
  return { options, warnings };
}

function actionOf({ values }: Settings): AskAction {
  const { table, wait, status, stop, json } = values;
  if (status && stop) throw new UsageError("--status and --stop exclude each other");
  if (json && !status) throw new UsageError("--json has no effect without --status");
  if (wait && (status || stop)) {
    throw new UsageError(
      `--wait does not go with --${status ? "status" : "stop"}, which is done at once`,
    );
  }
  if (table.length > MAX_TABLES) {
    throw new UsageError(`--table may be given ${MAX_TABLES} times; use wildcards, or ask twice`);
  }
  if (status) {
    if (table.length > 0) {
      throw new UsageError("--table has no effect with --status, which tells of every table");
    }
    return { kind: "status", json };
  }
  if (stop) return { kind: "stop", tables: table.length > 0 ? table : "all" };
  if (table.length === 0) {
    throw new UsageError(
      "pg2kinesis backfill needs --table GLOB, such as --table public.orders, or --status, or --stop",
    );
  }
  return { kind: "request", tables: table, wait };
}
