import type { PostgresOptions } from "../options.ts";
import { connect } from "../postgres/connection/connection.ts";
import { gatherWholeMessages } from "./whole_messages.ts";
import { Reader, type ReaderParts } from "./reader.ts";

/** Since which `tcp_user_timeout` is a setting. */
const USER_TIMEOUT_VERSION = 120000;

/**
 * Connects to the primary, where the stream comes from a standby too: a standby's snapshots list no running
 * transactions, and it takes no marks.
 */
export async function openReader(
  postgres: PostgresOptions,
  parts: ReaderParts,
  signal: AbortSignal,
): Promise<Reader> {
  const primary = { ...postgres, targetSessionAttrs: "primary" } as const;
  const connection = await connect(primary, "ordinary", signal);
  try {
    const [row] = await connection.query(
      "set up the connection of a backfill",
      "SELECT pg_catalog.current_setting('server_version_num') AS version",
    );
    const version = Number(row!.version);
    // Nothing else ends a session whose client stands still while the server writes to it.
    if (version >= USER_TIMEOUT_VERSION) {
      await connection.query("limit silence", "SET tcp_user_timeout = 8000");
    }
    gatherWholeMessages(connection.stream);
    return new Reader(connection, version, parts, signal);
  } catch (error) {
    connection.destroy();
    throw error;
  }
}
