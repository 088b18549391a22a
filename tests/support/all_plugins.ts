import type { OutputPlugin } from "../../src/options.ts";
import { hasWal2json, NO_DEBIAN_POSTGRES, startDebianPostgres } from "./debian_postgres.ts";
import { startEmbeddedPostgres } from "./embedded_postgres.ts";
import type { TestKinesis } from "./kinesalite.ts";
import { Pg2kinesis } from "./pg2kinesis.ts";
import { readBack, type StoredRecord } from "./read_back.ts";
import type { FreshDatabase } from "./shared_postgres.ts";
import type { TestPostgres } from "./test_postgres.ts";
import { flagsFor, freshStreamName, waitUntilConfirmed } from "./following_program.ts";

/** A server with every plugin that there is here: Debian's 15, else the embedded one without wal2json. */
export async function startServerWithPlugins(): Promise<
  { readonly server: TestPostgres; readonly plugins: readonly OutputPlugin[] }
> {
  if (hasWal2json()) {
    const plugins = ["test_decoding", "wal2json", "pgoutput"] as const;
    return { server: await startDebianPostgres(), plugins };
  }
  console.log(`${NO_DEBIAN_POSTGRES}: goes on without wal2json`);
  return { server: await startEmbeddedPostgres(), plugins: ["test_decoding", "pgoutput"] };
}

/** pgoutput on the embedded server, and wal2json on Debian's 15 where that is here. */
export async function startNewAndOld(): Promise<
  { readonly name: string; readonly server: TestPostgres; readonly plugin: OutputPlugin }[]
> {
  const embedded = await startEmbeddedPostgres();
  const cases = [{ name: "pgoutput, 18", server: embedded, plugin: "pgoutput" as OutputPlugin }];
  if (!hasWal2json()) console.log(`${NO_DEBIAN_POSTGRES}: goes on with 18 alone`);
  else {cases.push({
      name: "wal2json, 15",
      server: await startDebianPostgres(),
      plugin: "wal2json",
    });}
  return cases;
}

/** One slot of a database, a stream, and the program between the two. */
export class Follower implements AsyncDisposable {
  #program: Pg2kinesis | undefined;
  #copies = 0;

  private constructor(
    readonly plugin: OutputPlugin,
    /** With the slot that is followed. */
    public db: FreshDatabase,
    readonly stream: string,
    private readonly kinesis: TestKinesis,
  ) {}

  /** Creates slot and stream. With pgoutput the publication `published` must be there. */
  static async create(
    plugin: OutputPlugin,
    db: FreshDatabase,
    kinesis: TestKinesis,
    shards = 1,
  ): Promise<Follower> {
    const slot = `${db.slot}_${plugin}`;
    await db.sql("select pg_create_logical_replication_slot($1, $2)", [slot, plugin]);
    const stream = freshStreamName();
    await kinesis.createStream(stream, shards);
    return new Follower(plugin, { ...db, slot }, stream, kinesis);
  }

  get program(): Pg2kinesis {
    return this.#program!;
  }

  async start(
    flags: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ): Promise<Pg2kinesis> {
    await this.#program?.[Symbol.asyncDispose]();
    this.#program = await Pg2kinesis.start(this.#flags(flags), {
      env: { ...this.kinesis.env, ...env },
    });
    return this.#program;
  }

  /** Runs the program to its end. */
  async run(flags: readonly string[], env: Readonly<Record<string, string>> = {}) {
    return await Pg2kinesis.run(this.#flags(flags), { env: { ...this.kinesis.env, ...env } });
  }

  #flags(flags: readonly string[]): string[] {
    const publication = this.plugin === "pgoutput" ? ["--pg-publication", "published"] : [];
    return [
      ...flagsFor(this.db, this.stream),
      ...["--pg-slot-output-plugin", this.plugin, ...publication, ...flags],
    ];
  }

  /** Copies the slot as it is now; gives what makes the next start follow the copy. */
  async rememberSlot(): Promise<() => void> {
    const { db } = this;
    const copy = { ...db, slot: `${db.slot}_${++this.#copies}` };
    await db.sql("select pg_copy_logical_replication_slot($1, $2)", [db.slot, copy.slot]);
    return () => this.db = copy;
  }

  /** Waits until everything that is committed now is published and confirmed. */
  async catchUp(timeoutMs?: number): Promise<void> {
    await waitUntilConfirmed(this.db, this.#program, timeoutMs);
  }

  /** All that was stored, in the order of a stream with one shard. */
  async records(): Promise<readonly StoredRecord[]> {
    return (await readBack(this.kinesis.client, this.stream)).records;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#program?.[Symbol.asyncDispose]();
  }
}

/** What followers of one database, one a plugin, stored after `work`. */
export async function followWithAll(
  { plugins, db, kinesis, flags, env }: {
    readonly plugins: readonly OutputPlugin[];
    readonly db: FreshDatabase;
    readonly kinesis: TestKinesis;
    readonly flags: readonly string[];
    readonly env?: Readonly<Record<string, string>>;
  },
  work: (catchUp: () => Promise<void>) => Promise<void>,
): Promise<ReadonlyMap<OutputPlugin, readonly StoredRecord[]>> {
  await using stack = new AsyncDisposableStack();
  const followers: Follower[] = [];
  for (const plugin of plugins) {
    followers.push(stack.use(await Follower.create(plugin, db, kinesis)));
  }
  await Promise.all(followers.map((follower) => follower.start(flags, env)));
  for (const { program } of followers) await program.waitForLog(/following slot/, 60_000);
  const catchUp = async () => {
    for (const follower of followers) await follower.catchUp();
  };
  await work(catchUp);
  await catchUp();
  const stored = new Map<OutputPlugin, readonly StoredRecord[]>();
  for (const follower of followers) {
    const code = await follower.program.stop();
    if (code !== 0) throw new Error(`${follower.plugin}: ${follower.program.stderr}`);
    stored.set(follower.plugin, await follower.records());
  }
  return stored;
}
