// @ts-types="@types/pg"
import pg from "pg";
import { RunError } from "../../base/errors.ts";

/** PostgreSQL, or the way to it, failed. */
export class PostgresError extends RunError {
  override name = "PostgresError";
  /** Whether the same may work later, with nobody doing anything: a restart, a cut network. */
  readonly transient: boolean;
  /** SQLSTATE where the server sent an error, the system's name of the error (`ECONNRESET`) otherwise. */
  readonly code: string | undefined;

  constructor(
    message: string,
    options: { transient: boolean; code?: string; cause?: unknown },
  ) {
    super(message, { cause: options.cause });
    this.transient = options.transient;
    this.code = options.code ?? errorCode(options.cause);
  }
}

/** SQLSTATEs and classes that heal. https://www.postgresql.org/docs/current/errcodes-appendix.html */
const TRANSIENT_STATES = [
  "08", // connection exception
  "40", // transaction rollback
  "53", // insufficient resources: too many connections, out of memory, disk full
  "55006", // object in use: the slot, by our own dead session or by another
  "57", // operator intervention: shutdown, crash, starting up, cancelled
  "58030", // I/O error
];

/** Whether what failed may work later; anything that is not the server's word is the network's. */
export function isTransient(error: unknown): boolean {
  if (error instanceof PostgresError) return error.transient;
  if (!(error instanceof pg.DatabaseError)) return true;
  const state = error.code ?? "";
  // A dropped database also ends connections with a 57.
  return state !== "57P04" && TRANSIENT_STATES.some((start) => state.startsWith(start));
}

/** What was said, on one line: the server's words with its detail and hint, or the system's. */
export function describe(error: unknown): string {
  if (!(error instanceof Error)) return oneLine(String(error));
  if (!(error instanceof pg.DatabaseError)) return oneLine(error.message || error.name);
  const parts = [error.message, error.detail, error.hint].filter((part) => part);
  return oneLine(`${parts.map((part) => part!.replace(/\.$/, "")).join(". ")} (${error.code})`);
}

/** An error for a person: what was tried, and what was said. */
export function failed(what: string, error: unknown): PostgresError {
  return new PostgresError(`${what}: ${describe(error)}`, {
    transient: isTransient(error),
    cause: error,
  });
}

/** SQLSTATE or the system's name of the error. */
export function errorCode(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null | undefined)?.code;
  return typeof code === "string" ? code : undefined;
}

function oneLine(text: string): string {
  return text.replace(/\s*[\r\n]+\s*/g, " ").trim();
}
