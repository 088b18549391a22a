import type { TargetSessionAttrs } from "../../options.ts";
import { PostgresError } from "./postgres_error.ts";
import { isTrue } from "./text_row.ts";

/** SQLSTATE of a write that the server does not take. */
export const READ_ONLY = "25006";

/** What a connection is asked by; see `Connection`, which uses this. */
interface Askable {
  readonly place: string;
  query(doing: string, text: string): Promise<readonly Readonly<Record<string, string | null>>[]>;
}

/**
 * Whether the server is of the kind that `target_session_attrs` asks for; undefined when it is.
 * https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNECT-TARGET-SESSION-ATTRS
 */
export async function fitsSession(
  connection: Askable,
  wanted: TargetSessionAttrs,
): Promise<PostgresError | undefined> {
  if (wanted === "any" || wanted === "prefer-standby") return undefined;
  const [row] = await connection.query(
    `ask ${connection.place} whether it takes writes`,
    // What the session began with: since then it is set to write.
    `SELECT pg_catalog.pg_is_in_recovery()::pg_catalog.text AS standby,
            (SELECT s.reset_val FROM pg_catalog.pg_settings s
              WHERE s.name OPERATOR(pg_catalog.=) 'default_transaction_read_only') AS read_only`,
  );
  const standby = isTrue(row?.standby);
  const readOnly = standby || row?.read_only === "on";
  const fits = {
    "read-write": !readOnly,
    "read-only": readOnly,
    "primary": !standby,
    "standby": standby,
  }[wanted];
  if (fits) return undefined;
  const found = standby ? "is a standby" : readOnly ? "is read-only" : "is a primary";
  return new PostgresError(
    `the server at ${connection.place} ${found}, and target_session_attrs asks for ${wanted}`,
    // A failover may make it fit.
    { transient: true, ...isForWrites(wanted) ? { code: READ_ONLY } : {} },
  );
}

function isForWrites(wanted: TargetSessionAttrs): boolean {
  return wanted === "read-write" || wanted === "primary";
}
