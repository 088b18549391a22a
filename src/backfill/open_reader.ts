import type { PostgresOptions } from "../options.ts";
import { connect } from "../postgres/connection/connection.ts";
import { gatherWholeMessages } from "./whole_messages.ts";
import { JIT_VERSION, NO_JIT } from "./read_sql.ts";
import { Reader, type ReaderParts } from "./reader.ts";

/**
 * What is read is a table and nothing else: whoever owns its schema could put a view with functions of theirs
 * in its place after it was locked (CVE-2024-7348 of pg_dump). The versions since August 2024 have it.
 */
const TABLES_ALONE =
  `SELECT pg_catalog.set_config(s.name, 'view, foreign-table', false) FROM pg_catalog.pg_settings s
    WHERE s.name OPERATOR(pg_catalog.=) 'restrict_nonsystem_relation_kind'`;

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
    if (version >= JIT_VERSION) await connection.query("compile nothing", `SET ${NO_JIT}`);
    await connection.query("read nothing but tables", TABLES_ALONE);
    const reader = new Reader(connection, version, parts, signal);
    gatherWholeMessages(connection.stream, () => reader.largeRow());
    return reader;
  } catch (error) {
    connection.destroy();
    throw error;
  }
}
