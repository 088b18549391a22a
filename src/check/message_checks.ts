import { PLUGINS } from "../decode/plugins.ts";
import { formatTraits } from "../format/format_traits.ts";
import { someOf } from "../base/quantity.ts";
import type { ServerContext } from "./server_context.ts";

/** Whether logical messages can be published, where they are asked for, and who may write them. */
export async function checkMessages(context: ServerContext): Promise<void> {
  const { connection, facts, findings, options: { format, slot } } = context;
  if (format.messagePrefixes.length === 0) return;
  const asked = `--message-prefix ${someOf(format.messagePrefixes)}`;
  if (!formatTraits(format).hasMessages) {
    findings.warn(
      "messages",
      `${asked} has no effect: the format ${format.formatter} has no place for logical messages`,
      { kind: "options", options: "--message-formatter JSON" },
    );
    return;
  }
  if (!PLUGINS[slot.plugin].sendsMessages(facts.version)) {
    findings.warn(
      "messages",
      `${asked} has no effect: pgoutput of PostgreSQL ${facts.versionName} sends no logical messages, ` +
        "that of 14 and newer does",
      { kind: "options", options: "--pg-slot-output-plugin wal2json" },
    );
    return;
  }
  const open = await connection.query(
    "ask who may write logical messages",
    `SELECT pg_catalog.pg_get_function_identity_arguments(p.oid) AS arguments
       FROM pg_catalog.pg_proc p
      WHERE p.proname OPERATOR(pg_catalog.=) 'pg_logical_emit_message'
        AND p.pronamespace OPERATOR(pg_catalog.=) 'pg_catalog'::pg_catalog.regnamespace
        AND pg_catalog.has_function_privilege('public', p.oid, 'EXECUTE')
      ORDER BY p.oid`,
  );
  if (open.length === 0) {
    findings.ok(
      "messages",
      `${asked}: only roles with EXECUTE on pg_logical_emit_message() write them`,
    );
    return;
  }
  findings.warn(
    "messages",
    `${asked}: every role in the database may write such messages, of any content and size`,
    {
      kind: "sql",
      statements: open.map(({ arguments: types }) =>
        `REVOKE EXECUTE ON FUNCTION pg_catalog.pg_logical_emit_message(${types}) FROM PUBLIC;`
      ),
      then:
        "GRANT EXECUTE on them to the roles that write messages, and to this one for --heartbeat",
    },
  );
}
