import { connect } from "../postgres/connection/connection.ts";
import { PostgresError } from "../postgres/connection/postgres_error.ts";
import { quoteIdentifier } from "../postgres/connection/sql_text.ts";
import { isTrue } from "../postgres/connection/text_row.ts";
import type { ServerContext } from "./server_context.ts";

/** Whether heartbeats can be written, where they are asked for. Only a server without them stops a run. */
export async function checkHeartbeat(context: ServerContext): Promise<void> {
  const { options: { policy, postgres }, findings, facts, signal } = context;
  if (policy.heartbeatMs === 0) return;
  try {
    const connection = await connect(
      { ...postgres, targetSessionAttrs: "primary" },
      "ordinary",
      signal,
    );
    try {
      const [emit] = await connection.query(
        "look for pg_logical_emit_message",
        `SELECT pg_catalog.concat('pg_catalog.', p.oid::pg_catalog.regprocedure) AS name,
                pg_catalog.has_function_privilege(p.oid, 'EXECUTE')::pg_catalog.text AS may
           FROM pg_catalog.pg_proc p
          WHERE p.proname OPERATOR(pg_catalog.=) 'pg_logical_emit_message'
            AND p.pronamespace OPERATOR(pg_catalog.=) 'pg_catalog'::pg_catalog.regnamespace
            AND p.proargtypes[2] OPERATOR(pg_catalog.=) 'pg_catalog.text'::pg_catalog.regtype`,
      );
      if (emit === undefined) {
        findings.stop("heartbeat", `${connection.place} has no pg_logical_emit_message()`, {
          kind: "advice",
          text: "leave --heartbeat out",
        });
      } else if (!isTrue(emit.may)) {
        const role = quoteIdentifier(facts.role);
        findings.warn("heartbeat", `the role ${role} may not write heartbeats`, {
          kind: "sql",
          statements: [`GRANT EXECUTE ON FUNCTION ${emit.name} TO ${role};`],
        });
      } else {
        findings.ok("heartbeat", `written at ${connection.place}`);
      }
    } finally {
      connection.destroy();
    }
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof PostgresError)) throw error;
    findings.warn("heartbeat", `there will be none: ${error.message}`, {
      kind: "advice",
      text: "name the primary in --pg-host too, or leave --heartbeat out",
    });
  }
}
