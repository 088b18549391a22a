import { getLogger } from "@logtape/logtape";
import { Timelines } from "../../base/timelines.ts";
import type { Connection } from "../connection/connection.ts";
import { PostgresError } from "../connection/postgres_error.ts";

const logger = getLogger(["pg2kinesis", "postgres"]);

/** SQLSTATE of a file that is not there. */
const UNDEFINED_FILE = "58P01";

/**
 * Asks a walsender for the history of its timeline.
 * https://www.postgresql.org/docs/current/protocol-replication.html, TIMELINE_HISTORY
 */
export async function readTimelines(connection: Connection, timeline: number): Promise<Timelines> {
  // The first one has none, and no history file.
  if (timeline === 1) return Timelines.only(timeline);
  try {
    const [row] = await connection.query(
      `read the history of timeline ${timeline}`,
      `TIMELINE_HISTORY ${timeline}`,
    );
    return Timelines.fromHistory(decodeBytea(row!.content!), timeline);
  } catch (error) {
    if (!(error instanceof PostgresError) || error.code !== UNDEFINED_FILE) throw error;
    logger.debug("the history of timeline {timeline} is not known: {why}", {
      timeline,
      why: error.message,
    });
    return Timelines.only(timeline);
  }
}

/** The content is sent as text bytes under bytea's type; older servers print it as hex. */
function decodeBytea(text: string): string {
  if (!text.startsWith("\\x")) return text;
  const bytes = text.slice(2).match(/../g)?.map((hex) => parseInt(hex, 16)) ?? [];
  return new TextDecoder().decode(new Uint8Array(bytes));
}
