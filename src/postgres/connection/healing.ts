import type { Clock } from "../../base/clock.ts";
import { PostgresError } from "./postgres_error.ts";

/** A server in a stop or a crash says one of these. */
const SHUTDOWN_CODES: ReadonlySet<string | undefined> = new Set(["57P01", "57P02", "57P03"]);

/**
 * So long after it said that it stops, a server may still answer with the certificate that it started
 * with, which is not the one that it will come back with. A shutdown takes a moment, a checkpoint, or as
 * long as its walsenders keep it.
 */
const STOPPING_MS = 30_000;

export const saysItStops = (error: { readonly code?: string | undefined }): boolean =>
  SHUTDOWN_CODES.has(error.code);

/** Judges which failures of one connection, and of those made in its place, heal by themselves. */
export class Healing {
  #stoppingUntilMs = -Infinity;

  constructor(private readonly clock: Pick<Clock, "now">) {}

  heals(error: unknown): error is PostgresError {
    if (!(error instanceof PostgresError)) return false;
    if (saysItStops(error)) this.#stoppingUntilMs = this.clock.now() + STOPPING_MS;
    if (error.transient) return true;
    // What the database itself refuses, by an SQLSTATE, it will refuse then, too.
    const isRefused = /^[0-9A-Z]{5}$/.test(error.code ?? "");
    return !isRefused && this.clock.now() < this.#stoppingUntilMs;
  }
}
