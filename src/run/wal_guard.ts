import { getLogger } from "@logtape/logtape";
import type { Clock } from "../base/clock.ts";
import { RunError } from "../base/errors.ts";
import { LastingTrouble } from "../base/lasting_trouble.ts";
import { formatLsn, type Lsn } from "../base/lsn.ts";
import type { TelemetryOptions } from "../options.ts";
import type { SlotState } from "../postgres/slot/slot_state.ts";
import { quoteLiteral } from "../postgres/connection/sql_text.ts";
import { formatBytes } from "../base/quantity.ts";

const logger = getLogger(["pg2kinesis", "telemetry"]);

/** A size that goes up and down around the limit is said no more often than once a minute. */
const SAYING_RATE = { repeatMs: 600_000, leastPauseMs: 60_000 };

/** Watches how much WAL the slot keeps on the server's disk. */
export class WalGuard {
  /** Resolves, never rejects, when the run is to end. */
  readonly failure: Promise<RunError>;
  #fail!: (error: RunError) => void;
  readonly #tooMuch: LastingTrouble;
  readonly #losing: LastingTrouble;

  /** `flushLsn`: what is confirmed. */
  constructor(
    private readonly slotName: string,
    private readonly options: Pick<TelemetryOptions, "maxLagBytes" | "onMaxLag">,
    private readonly flushLsn: () => Lsn,
    clock: Pick<Clock, "now" | "wall">,
  ) {
    this.#tooMuch = new LastingTrouble(clock, SAYING_RATE);
    this.#losing = new LastingTrouble(clock, { repeatMs: SAYING_RATE.repeatMs });
    this.failure = new Promise((resolve) => this.#fail = resolve);
  }

  /** The server reported on the slot. */
  look(slot: SlotState): void {
    this.#lookAtStatus(slot);
    const { maxLagBytes, onMaxLag } = this.options;
    if (maxLagBytes === undefined || slot.retainedBytes === undefined) return;
    if (slot.retainedBytes <= maxLagBytes) return this.#below(slot.retainedBytes, maxLagBytes);
    const what = this.#what(slot.retainedBytes, maxLagBytes, slot);
    if (onMaxLag === "stop") this.#stop(what);
    else this.#warn(what);
  }

  #what(retained: number, max: number, { walEnd, safeWalBytes }: SlotState): string {
    const flushed = this.flushLsn();
    const behind = Number(walEnd > flushed ? walEnd - flushed : 0n);
    const left = safeWalBytes === undefined
      ? ""
      : `, and it is lost after ${formatBytes(Math.max(0, safeWalBytes))} more`;
    return `the slot ${JSON.stringify(this.slotName)} keeps ${
      formatBytes(retained)
    } of WAL on the ` +
      `server, more than the ${formatBytes(max)} of --max-lag-bytes; ` +
      `${formatBytes(behind)} of it is not published${left}`;
  }

  #stop(what: string): void {
    this.#fail(
      new RunError(
        `${what}; stopping, as --on-max-lag stop says. The server keeps that WAL until it is read or ` +
          "the slot is dropped: start again with a higher --max-lag-bytes to catch up, or free the " +
          `disk with SELECT pg_catalog.pg_drop_replication_slot(${
            quoteLiteral(this.slotName)
          }), which loses ` +
          `every change behind ${formatLsn(this.flushLsn())}`,
      ),
    );
  }

  #warn(what: string): void {
    if (this.#tooMuch.failed(what) !== undefined) logger.warn("{what}", { what });
  }

  #below(retained: number, max: number): void {
    if (this.#tooMuch.over() === undefined) return;
    logger.info(
      "the slot {slot} keeps {retained} of WAL, within the {max} of --max-lag-bytes again",
      { slot: this.slotName, retained: formatBytes(retained), max: formatBytes(max) },
    );
  }

  /** Whatever the limit: the server itself is about to give the slot up. */
  #lookAtStatus({ walStatus, retainedBytes }: SlotState): void {
    if (walStatus !== "unreserved" || this.#losing.failed(walStatus) === undefined) return;
    logger.warn(
      "the slot {slot} is about to be lost: it keeps {retained} of WAL, more than " +
        "max_slot_wal_keep_size, and the server may remove it; raise that setting until the run " +
        "has caught up",
      { slot: this.slotName, retained: formatBytes(retainedBytes ?? 0) },
    );
  }
}
