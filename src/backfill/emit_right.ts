import type { Connection } from "../postgres/connection/connection.ts";
import { isTrue } from "../postgres/connection/text_row.ts";

/** Who may write the messages that a backfill is asked for by, and that it goes on from. */
export interface EmitRight {
  /** The function as GRANT names it: `pg_catalog.pg_logical_emit_message(boolean,text,text)`. */
  readonly signature: string;
  readonly role: string;
  /** Whether the role may call it. */
  readonly mayEmit: boolean;
  /** Whether every role may. */
  readonly isPublic: boolean;
}

/** Of the function that takes a text. `role`: undefined for the one that asks. Undefined: no such role. */
export async function readEmitRight(
  connection: Connection,
  role: string | undefined,
): Promise<EmitRight | undefined> {
  const [row] = await connection.query(
    "ask who may write logical messages",
    `SELECT pg_catalog.concat('pg_catalog.', p.oid::pg_catalog.regprocedure) AS signature,
            r.rolname AS role,
            pg_catalog.has_function_privilege(r.oid, p.oid, 'EXECUTE')::pg_catalog.text AS may_emit,
            pg_catalog.has_function_privilege('public', p.oid, 'EXECUTE')::pg_catalog.text AS public
       FROM pg_catalog.pg_proc p
      CROSS JOIN pg_catalog.pg_roles r
      WHERE p.proname OPERATOR(pg_catalog.=) 'pg_logical_emit_message'
        AND p.pronamespace OPERATOR(pg_catalog.=) 'pg_catalog'::pg_catalog.regnamespace
        AND p.proargtypes[2] OPERATOR(pg_catalog.=) 'pg_catalog.text'::pg_catalog.regtype
        AND r.rolname OPERATOR(pg_catalog.=) COALESCE($1::pg_catalog.name, current_user)`,
    [role ?? null],
  );
  if (row === undefined) return undefined;
  return {
    signature: row.signature!,
    role: row.role!,
    mayEmit: isTrue(row.may_emit),
    isPublic: isTrue(row.public),
  };
}
