import type { OutputPlugin } from "../../src/options.ts";
import { startEmbeddedPostgres } from "../support/embedded_postgres.ts";
import { createFailoverSlots } from "../support/failover_slots.ts";
import type { TestPostgres } from "../support/test_postgres.ts";
import { sleep } from "../support/wait.ts";
import { type CommittedChange, readCommitted } from "./committed.ts";
import { STREAM } from "./fault_server_process.ts";
import type { FailoverBlow } from "./plan.ts";
import { readLsn } from "./read_lsn.ts";
import { SERVER_SETTINGS } from "./server_settings.ts";
import { prepareDatabase, type Site, type SiteServer } from "./site.ts";

/** A primary with failover slots, and its asynchronous standby; both go at the end. */
export class FailoverSite implements Site {
  /** The primary, from its promotion on the standby. */
  #server: TestPostgres;
  /** Where the standby's timeline left that of the primary; undefined while there is one. */
  #branch: { readonly lsn: bigint; readonly text: string } | undefined;
  /** Of the old timeline, behind the branch. */
  #lost: readonly CommittedChange[] = [];

  private constructor(
    private readonly primary: TestPostgres,
    private readonly standby: TestPostgres,
    readonly database: string,
    readonly slot: string,
    private readonly plugin: OutputPlugin,
    private readonly parts: AsyncDisposableStack,
  ) {
    this.#server = primary;
  }

  static async open(plugin: OutputPlugin): Promise<FailoverSite> {
    await using parts = new AsyncDisposableStack();
    const primary = parts.use(await startEmbeddedPostgres({ settings: SERVER_SETTINGS }));
    // It goes with its servers.
    const { database, slot } = await prepareDatabase(primary, plugin);
    const standby = parts.use(await primary.startStandby({ sync_replication_slots: "on" }));
    const slots = [[slot, plugin], [`${slot}_oracle`, "test_decoding"]] as const;
    await createFailoverSlots(primary, standby, database, slots);
    return new FailoverSite(primary, standby, database, slot, plugin, parts.move());
  }

  get server(): SiteServer {
    return {
      sql: (text, options) => this.#server.sql(text, options),
      connect: (options) => this.#server.connect(options),
      start: () => this.#server.start(),
      stop: (mode) => this.#server.stop(mode),
      kill9: () => this.#server.kill9(),
    };
  }

  get flags(): readonly string[] {
    const hosts = [this.primary, this.standby].map(({ host, port }) => `${host}:${port}`).join();
    const { superuser } = this.primary;
    return [
      "--pg-url",
      `postgresql://${superuser}@${hosts}/${this.database}?target_session_attrs=primary`,
      ...["-s", this.slot, "-k", STREAM, "--pg-slot-output-plugin", this.plugin],
    ];
  }

  async failOver(
    { lagMs, isHeld }: FailoverBlow,
    hold: (isHeld: boolean) => Promise<void>,
  ): Promise<void> {
    if (lagMs > 0) await this.standby.stop();
    if (isHeld) await hold(true);
    await sleep(lagMs);
    await this.primary.kill9();
    if (lagMs > 0) await this.standby.start();
    await this.standby.sql("select pg_promote()");
    this.#server = this.standby;
    if (isHeld) await hold(false);
    const [row] = await this.standby.sql(
      "select pg_read_file('pg_wal/00000002.history') as history",
    );
    const [, text = ""] = /^1\t(\S+)/m.exec(row!.history) ?? [];
    this.#branch = { lsn: readLsn(text), text };
  }

  /** Both servers tell: the old one what it had, the new one what it has. */
  async committed(isPublished: (prefix: string) => boolean): Promise<readonly CommittedChange[]> {
    const branch = this.#branch?.lsn;
    const timelineAt = (lsn: bigint) => branch !== undefined && lsn > branch ? 2 : 1;
    const oracle = `${this.slot}_oracle`;
    const now = await readCommitted(this.#server, this.database, oracle, {
      ...{ isPublished, timelineAt },
    });
    if (branch === undefined) return now;
    await this.primary.start();
    const before = await readCommitted(this.primary, this.database, oracle, { isPublished });
    this.#lost = before.filter(({ endLsn }) => endLsn > branch)
      .map((change) => ({ ...change, isLost: true }));
    const shared = now.filter(({ timeline }) => timeline === 1);
    if (shared.length + this.#lost.length !== before.length) {
      throw new Error(`${before.length} changes before, of which ${shared.length} are in both`);
    }
    return [...shared, ...this.#lost, ...now.filter(({ timeline }) => timeline === 2)];
  }

  /** After {@linkcode committed}. */
  checkLog(log: string, published: ReadonlySet<string>): readonly string[] {
    const ranges = [...log.matchAll(/lost its WAL from (\S+) to (\S+) in the failover/g)];
    const inStream = this.#lost.filter(({ name }) => published.has(name));
    const findings = ranges.filter(([, from]) => from !== this.#branch?.text)
      .map(([line]) => `the timelines parted at ${this.#branch?.text}, but: ${line}`);
    const told = ranges.map(([, , to]) => readLsn(to!)).reduce((a, b) => a > b ? a : b, 0n);
    const untold = inStream.filter(({ endLsn }) => endLsn > told);
    if (untold.length > 0) {
      findings.push(`lost by the failover, in the stream, and not told: ${untold[0]!.name}`);
    }
    return findings;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.parts[Symbol.asyncDispose]();
  }
}
