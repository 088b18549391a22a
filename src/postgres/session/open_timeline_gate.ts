import type { PostgresOptions } from "../../options.ts";
import { bounded } from "../connection/bounded.ts";
import { connect, type Connection } from "../connection/connection.ts";
import { TimelineGate, type TimelineGateOptions } from "./timeline_gate.ts";

const ANSWER_TIMEOUT_MS = 5000;

/**
 * A gate for what the standby sends on `streaming`, with a replication connection of its own to ask on:
 * one that streams cannot be asked, and only a walsender says which timeline a standby replays.
 * https://www.postgresql.org/docs/current/protocol-replication.html, IDENTIFY_SYSTEM
 */
export async function openTimelineGate(
  postgres: PostgresOptions,
  { attempt, place }: Pick<Connection, "attempt" | "place">,
  { timeline }: Pick<TimelineGateOptions, "timeline">,
  signal: AbortSignal,
  events: Pick<TimelineGateOptions, "pass" | "end">,
): Promise<TimelineGate> {
  const there = { ...postgres, hosts: [attempt], targetSessionAttrs: "any" as const };
  const connection = await connect(there, "replication", signal);
  return new TimelineGate({
    ...{ timeline, place, ...events },
    ask: async () => {
      const asking = connection.query("ask for the timeline", "IDENTIFY_SYSTEM");
      const [row] = await bounded(connection, asking, ANSWER_TIMEOUT_MS);
      return Number(row!.timeline);
    },
    release: () => connection.destroy(),
  });
}
