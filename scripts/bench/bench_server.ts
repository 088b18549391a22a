// @ts-types="@types/pg"
import type pg from "pg";
import { join } from "node:path";
import { startDebianPostgres } from "../../tests/support/debian_postgres.ts";
import type { TestPostgres } from "../../tests/support/test_postgres.ts";
import { sleep } from "../../tests/support/wait.ts";
import type { OutputPlugin, SlotOptions } from "../../src/options.ts";

/** How often the slot is asked how far it is: the resolution of a drain's time. */
const POLL_MS = 20;

export const PUBLICATION = "bench";

/** What pg2kinesis would ask the plugin for. */
export function benchSlot(name: string, plugin: OutputPlugin): SlotOptions {
  const nothing = {
    create: false,
    recreate: false,
    createPublication: false,
    partitionRoot: false,
    failover: false,
    backfill: false,
  };
  const following = { standby: false, silenceMs: 60_000 };
  return { name, plugin, publications: [PUBLICATION], ...nothing, ...following };
}

/** A real server with TLS, set up so that it writes as little as it can beside the WAL. */
export class BenchServer implements AsyncDisposable {
  private constructor(
    readonly postgres: TestPostgres,
    /** Open for good, so that asking costs next to nothing. */
    private readonly client: pg.Client,
  ) {}

  static async start(): Promise<BenchServer> {
    const postgres = await startDebianPostgres({
      tls: await selfSignedCertificate(),
      settings: {
        shared_buffers: "256MB",
        max_wal_size: "20GB",
        checkpoint_timeout: "1h",
        full_page_writes: "off",
        autovacuum: "off",
        max_replication_slots: 200,
        max_wal_senders: 10,
        track_commit_timestamp: "on",
      },
    });
    try {
      const client = await postgres.connect();
      await client.query(`create publication ${PUBLICATION} for all tables`);
      return new BenchServer(postgres, client);
    } catch (error) {
      await postgres[Symbol.asyncDispose]();
      throw error;
    }
  }

  async query(text: string): Promise<pg.QueryResult["rows"]> {
    const result: pg.QueryResult | pg.QueryResult[] = await this.client.query(text);
    return (Array.isArray(result) ? result.at(-1)! : result).rows;
  }

  async createSlot(slot: string, plugin: OutputPlugin): Promise<void> {
    await this.query(`select pg_create_logical_replication_slot('${slot}', '${plugin}')`);
  }

  async dropSlot(slot: string): Promise<void> {
    // It stays active until the walsender of a killed client has gone.
    for (let attempt = 1;; attempt++) {
      try {
        await this.query(`select pg_drop_replication_slot('${slot}')`);
        return;
      } catch (error) {
        if (attempt === 100) throw error;
        await sleep(50);
      }
    }
  }

  /** Waits until the slot's client has confirmed `lsn`; `stillRuns` throws when it ended instead. */
  async waitForConfirmed(slot: string, lsn: string, stillRuns: () => void): Promise<void> {
    const question = `select confirmed_flush_lsn >= '${lsn}' as done from pg_replication_slots
      where slot_name = '${slot}'`;
    while (!(await this.query(question))[0].done) {
      stillRuns();
      await sleep(POLL_MS);
    }
  }

  /** The process that serves a slot's client. */
  async walsenderPid(slot: string): Promise<number> {
    const question = `select active_pid from pg_replication_slots where slot_name = '${slot}'`;
    return (await this.query(question))[0].active_pid;
  }

  /** Waits until the slot is followed; `stillRuns` throws when its client ended instead. */
  async waitForActive(slot: string, stillRuns: () => void): Promise<void> {
    const question = `select active from pg_replication_slots where slot_name = '${slot}'`;
    while (!(await this.query(question))[0].active) {
      stillRuns();
      await sleep(5);
    }
  }

  /**
   * Ends what is measured; gives the LSN that a slot has confirmed once it is drained. A last change
   * lies behind it, since what is confirmed is the end of a transaction.
   */
  async closeBacklog(): Promise<string> {
    const [{ lsn }] = await this.query("select pg_current_wal_insert_lsn() as lsn");
    await this.query("insert into ticks (note) values ('the end')");
    return lsn;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client.end();
    await this.postgres[Symbol.asyncDispose]();
  }
}

async function selfSignedCertificate(): Promise<{ cert: string; key: string }> {
  const directory = await Deno.makeTempDir();
  try {
    const cert = join(directory, "cert"), key = join(directory, "key");
    const { success } = await new Deno.Command("openssl", {
      // deno-fmt-ignore
      args: [
        "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
        "-out", cert, "-keyout", key,
      ],
      stderr: "null",
    }).output();
    if (!success) throw new Error("openssl could not make a certificate");
    return { cert: await Deno.readTextFile(cert), key: await Deno.readTextFile(key) };
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}
