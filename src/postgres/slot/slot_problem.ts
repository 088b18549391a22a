import { formatLsn } from "../../base/lsn.ts";
import type { SlotOptions } from "../../options.ts";
import type { Problem, Remedy } from "../../base/problem.ts";
import { type ServerFacts, TO_PRIMARY } from "./server_facts.ts";
import { allowPlugin, pluginListWith } from "./slot_failure.ts";
import type { SlotRow } from "./slot_row.ts";
import { quoteLiteral } from "../connection/sql_text.ts";

/** Newer releases have a list of the plugins that may be used; it counts for existing slots too. */
export function pluginProblem(
  { outputPluginLibraries: libraries }: ServerFacts,
  { plugin }: SlotOptions,
): Problem | undefined {
  if (libraries === undefined || libraries.includes(plugin)) return undefined;
  return {
    found: `the server does not allow the plugin ${plugin}: output_plugin_libraries is ` +
      quote(libraries),
    advice: allowPlugin(libraries, plugin),
    remedy: {
      kind: "sql",
      statements: [
        `ALTER SYSTEM SET output_plugin_libraries = ${pluginListWith(libraries, plugin)};`,
        "SELECT pg_catalog.pg_reload_conf();",
      ],
    },
  };
}

/** There is no slot, and none is to be made. */
export function missingSlot(options: SlotOptions, { place }: { place: string }): Problem {
  return {
    found: `there is no replication slot ${quote(options.name)} on ${place}`,
    advice: "create it with --create-slot, or name another one with --pg-slot-name",
    remedy: { kind: "sql", statements: [creation(options)] },
  };
}

const GIVING_UP = "which gives up the changes that nobody has read from it yet";

/** Whether a slot's problem may pass by itself. */
export type SlotProblem = Problem & { readonly transient: boolean };

const NAME_ANOTHER: Remedy = { kind: "options", options: "--pg-slot-name <another>" };

/** Why a slot is somebody else's: a run neither follows it nor drops it. */
export function foreignSlot(
  { type, plugin, database, isTemporary }: SlotRow,
  server: Pick<ServerFacts, "database">,
  options: SlotOptions,
): SlotProblem | undefined {
  const foreign = (found: string, advice: string) => ({
    found: `the slot ${quote(options.name)} ${found}`,
    advice,
    remedy: NAME_ANOTHER,
    transient: false,
  });
  if (type !== "logical") {
    return foreign(`is a ${type} one; a logical one is needed`, "name another");
  }
  if (database !== server.database) {
    return foreign(
      `exists with plugin ${plugin} in database ${quote(database!)}, and database ` +
        `${quote(server.database)} was asked for`,
      "name another slot with --pg-slot-name, or follow this one with its own settings",
    );
  }
  if (isTemporary) return foreign("is a temporary one of another session", "name another");
  return undefined;
}

/** Why a run cannot follow the slot that is there; undefined when it can. */
export function slotProblem(
  slot: SlotRow,
  server: Pick<ServerFacts, "database" | "isStandby">,
  options: SlotOptions,
): SlotProblem | undefined {
  const foreign = foreignSlot(slot, server, options);
  if (foreign !== undefined) return foreign;
  const name = quote(options.name);
  const lasting = (found: string, advice: string, remedy: Remedy) => ({
    ...{ found, advice, remedy },
    transient: false,
  });
  const { plugin } = slot;
  if (plugin !== options.plugin) {
    return lasting(
      `the slot ${name} exists with plugin ${plugin} in database ${quote(server.database)}, and ` +
        `plugin ${options.plugin} was asked for`,
      "follow it with its own plugin, name another slot with --pg-slot-name, or recreate this one " +
        `with --recreate-slot, ${GIVING_UP}`,
      { kind: "options", options: `--pg-slot-output-plugin ${plugin}` },
    );
  }
  if (slot.isTwoPhase) {
    return lasting(
      `the slot ${name} decodes prepared transactions (two_phase), which is not supported`,
      `recreate it with --recreate-slot, ${GIVING_UP}`,
      recreation(options),
    );
  }
  if (slot.invalidation !== undefined) {
    return lasting(
      `the slot ${name} is lost (${slot.invalidation}): changes since ${
        confirmedText(slot)
      } can no longer be read from it`,
      "recreate it with --recreate-slot, and add --backfill to publish the rows that the tables have now; " +
        "what was deleted in the gap is not reported",
      recreation(options),
    );
  }
  if (slot.isSynced && server.isStandby) {
    return lasting(
      `the slot ${name} on this standby is a copy of the primary's, which can be followed only after ` +
        "a promotion",
      TO_PRIMARY,
      { kind: "advice", text: TO_PRIMARY },
    );
  }
  return slot.isActive ? activeElsewhere(slot, options.name) : undefined;
}

export function activeElsewhere(slot: SlotRow, slotName: string): SlotProblem {
  const statement = `SELECT pg_catalog.pg_terminate_backend(${slot.activePid})`;
  return {
    found: `the slot ${quote(slotName)} is active: the server's process ${slot.activePid} serves ` +
      "it to another client",
    advice: `stop that one, or end it with ${statement}`,
    remedy: { kind: "sql", statements: [`${statement};`] },
    transient: true,
  };
}

/** What it has confirmed, for a person. */
export function confirmedText({ confirmedFlushLsn }: SlotRow): string {
  return confirmedFlushLsn === undefined ? "?" : formatLsn(confirmedFlushLsn);
}

function recreation(options: SlotOptions): Remedy {
  return {
    kind: "sql",
    statements: [
      `SELECT pg_catalog.pg_drop_replication_slot(${quoteLiteral(options.name)});`,
      creation(options),
    ],
    then: "fill the gap from the tables",
  };
}

/** The statement that makes the slot as a run would. */
export function creation({ name, plugin, failover }: SlotOptions): string {
  return `SELECT pg_catalog.pg_create_logical_replication_slot(${quoteLiteral(name)}, ${
    quoteLiteral(plugin)
  }${failover ? ", failover => true" : ""});`;
}

function quote(name: string): string {
  return JSON.stringify(name);
}
