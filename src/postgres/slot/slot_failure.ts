// @ts-types="@types/pg"
import pg from "pg";
import { PLUGINS } from "../../decode/plugins.ts";
import type { OutputPlugin, SlotOptions } from "../../options.ts";
import { PostgresError } from "../connection/postgres_error.ts";

/**
 * The statements that add a plugin to `output_plugin_libraries`, whose list is not quoted.
 * `libraries` is what it names now; undefined where the role may not see that.
 */
export function allowPlugin(libraries: string | undefined, plugin: OutputPlugin): string {
  const list = pluginListWith(libraries, plugin);
  const caution = libraries === undefined ? " (and what the list names now)" : "";
  return `run ALTER SYSTEM SET output_plugin_libraries = ${list}${caution} and then ` +
    "SELECT pg_catalog.pg_reload_conf()";
}

/** The list with one more plugin, as `ALTER SYSTEM` takes it: unquoted. */
export function pluginListWith(libraries: string | undefined, plugin: OutputPlugin): string {
  const now = libraries ?? "pgoutput, test_decoding";
  return now.trim() === "" ? plugin : `${now}, ${plugin}`;
}

/** What was asked of the server: the same SQLSTATE means another thing at another step. */
export type SlotStep = "create" | "drop" | "start";

/** What to do when a slot cannot be made, dropped or followed; `error` is what the server said. */
export function explainSlotFailure(
  error: PostgresError,
  step: SlotStep,
  options: SlotOptions,
): PostgresError {
  const advice = adviceFor(error, step, options);
  if (advice === undefined) return error;
  return new PostgresError(`${error.message}; ${advice}`, {
    transient: error.transient,
    code: error.code,
    cause: error.cause,
  });
}

function adviceFor(
  { code, cause }: PostgresError,
  step: SlotStep,
  { name, plugin }: SlotOptions,
): string | undefined {
  switch (code) {
    case "58P01":
      return step === "drop"
        ? undefined
        : `install the plugin ${plugin} on the server (${
          PLUGINS[plugin].install
        }), or choose another ` +
          "with --pg-slot-output-plugin";
    case "42501":
      // The list is checked before; it may have changed since. The function is where a plugin is loaded.
      return cause instanceof pg.DatabaseError && cause.routine === "StartupDecodingContext"
        ? allowPlugin(undefined, plugin)
        : "the role needs REPLICATION (on Amazon RDS: rds_replication)";
    case "53400":
      return step === "create"
        ? "drop a slot that nobody needs (SELECT pg_catalog.pg_drop_replication_slot('…')), or raise " +
          "max_replication_slots and restart the server"
        : undefined;
    case "55006":
      return "stop the client that uses it, or end it with pg_terminate_backend";
    case "42704":
      // To follow a slot asks for nothing else by its name; publications are looked for later.
      return step === "start"
        ? `create it with --create-slot, or name another than ${
          JSON.stringify(name)
        } with --pg-slot-name`
        : undefined;
    default:
      return undefined;
  }
}
