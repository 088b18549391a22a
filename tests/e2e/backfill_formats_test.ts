import { assertEquals } from "@std/assert";
import { Follower, startServerWithPlugins } from "../support/all_plugins.ts";
import { ask, ended } from "../support/backfilled.ts";
import { startKinesalite } from "../support/kinesalite.ts";
import { freshDatabase } from "../support/shared_postgres.ts";
import type { Row } from "../support/test_postgres.ts";

const { server, plugins } = await startServerWithPlugins();

/** What differs between any two records. */
const OWN = new Set(["xid", "txId", "lsn", "sequence", "transaction-id", "commit-timestamp"]);
const TIMES = /^ts_|^timestamp$/;

/** As JSON where it is some, without what names the change. */
function shape(text: string): unknown {
  const start = text.indexOf("{");
  if (start === -1) return text.replace(/^0,CDC,\d+,/, "0,CDC,XID,");
  const drop = (key: string, value: unknown) =>
    OWN.has(key) || TIMES.test(key) || key === "stream-position" ? undefined : value;
  return JSON.parse(text.slice(start), drop);
}

interface Case {
  readonly name: string;
  readonly flags: readonly string[];
  /** What of an insert's record makes it that of a row that was read. */
  readonly read: (inserted: Row) => unknown;
}

const USER = `export default (change) => change.kind + " " + change.newRow
  .filter(({ name }) => name !== "id").map(({ value }) => value).join(" ")`;
const module = `${await Deno.makeTempDir()}/format.js`;
await Deno.writeTextFile(module, USER);

const CASES: readonly Case[] = [
  { name: "CSV", flags: ["-f", "CSV"], read: (inserted) => inserted },
  { name: "CSVPayload", flags: ["-f", "CSVPayload"], read: (inserted) => inserted },
  {
    name: "CSVPayload --full-change",
    flags: ["-f", "CSVPayload", "--full-change"],
    read: (inserted) => inserted,
  },
  {
    name: "debezium",
    flags: ["-f", "debezium"],
    read: (inserted) => ({
      ...inserted,
      op: "r",
      source: { ...inserted.source, snapshot: "incremental" },
    }),
  },
  {
    name: "dms",
    flags: ["-f", "dms"],
    read: (inserted) => ({ ...inserted, metadata: { ...inserted.metadata, operation: "load" } }),
  },
  {
    name: "a module of one's own",
    flags: ["-f", module],
    read: (inserted) => inserted.replace("insert", "read"),
  },
];

const INSERT = `insert into t values (1, 1.50, 'é "q"', true, '2026-11-28 08:01:02.123456+00')`;

for (const plugin of plugins) {
  Deno.test(`a row that was read has the record of its insert, in each format (${plugin})`, async () => {
    await using kinesis = await startKinesalite();
    await using db = await freshDatabase(server);
    await db.sql(`
      create table t (id int primary key, n numeric, note text, paid boolean, at timestamptz);
      ${INSERT};
      create publication published for table t`);
    await using stack = new AsyncDisposableStack();
    const followers: Follower[] = [];
    for (const [index, { flags }] of CASES.entries()) {
      const own = { ...db, slot: `${db.slot}_${index}` };
      const follower = stack.use(await Follower.create(plugin, own, kinesis));
      followers.push(follower);
      await follower.start([...flags, "--operations", "insert"]);
    }
    for (const follower of followers) await ask(follower.db, ["public.t"], "r");
    for (const follower of followers) await ended(follower, "r");
    await db.sql(`delete from t; ${INSERT}`);
    for (const [index, { name, read }] of CASES.entries()) {
      const follower = followers[index]!;
      await follower.catchUp();
      assertEquals(await follower.program.stop(), 0, follower.program.stderr);
      const texts = (await follower.records()).map(({ text }) => text);
      // DMS begins a table with a record of its own.
      const [first, second, ...others] = texts.map(shape)
        .filter((each) => (each as Row).metadata?.["record-type"] !== "control");
      assertEquals(others, [], texts.join("\n"));
      assertEquals(first, read(second as Row), name);
    }
  });
}
