import { assertEquals, assertMatch } from "@std/assert";
import { Follower, startNewAndOld } from "../support/all_plugins.ts";
import { ask, consumed, ended, parsed } from "../support/backfilled.ts";
import { startKinesalite } from "../support/kinesalite.ts";
import { freshDatabase } from "../support/shared_postgres.ts";
import { waitFor } from "../support/wait.ts";

const CASES = await startNewAndOld();

/** Of each table. A second brings two thirds of them. */
const ROWS = 45;
const RATE = "30";

interface Altered {
  readonly name: string;
  /** What happens to it when its first rows are in the stream. */
  readonly sql: (role: string) => string;
  /** Under which name its rows arrive whole in the end, and by which key; undefined: it is given up. */
  readonly whole: { readonly name: string; readonly key: string } | undefined;
  /** Of the log, when it is not whole. */
  readonly says?: RegExp;
}

const ODD = 'Odd.Table "x"\n';
const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`;
const same = (name: string) => ({ name, whole: { name, key: "id" } });

/** In the order in which they are read: that in which they are made. */
const TABLES: readonly Altered[] = [
  { ...same(ODD), sql: () => `update ${quoted(ODD)} set v = 'new'` },
  {
    ...same("gains_column"),
    sql: () =>
      `alter table gains_column add extra text; update gains_column set extra = repeat('y', 3000) where id > 40;
       update gains_column set id = -id where id > 42`,
  },
  { ...same("loses_column"), sql: () => "alter table loses_column drop v" },
  {
    ...same("retyped"),
    sql: () => "alter table retyped alter id type bigint, alter v type varchar(30)",
  },
  {
    name: "renamed",
    sql: () =>
      "alter table renamed rename to renamed_then; update renamed_then set v = 'new' where id = 1",
    whole: { name: "renamed_then", key: "id" },
  },
  {
    name: "swapped",
    sql: (role) =>
      `alter table swapped rename to swapped_then; create table swapped (id int primary key);
       revoke select on swapped from ${role}`,
    whole: { name: "swapped_then", key: "id" },
  },
  {
    name: "counted",
    sql: () => "alter table counted rename to counted_then; create sequence counted",
    whole: { name: "counted_then", key: "id" },
  },
  {
    name: "hidden_then",
    sql: () => "alter table hidden_then rename to hidden",
    whole: undefined,
    says: /public\.hidden_then is given up: the filters of the run leave it out/,
  },
  {
    name: "key_renamed",
    sql: () => "alter table key_renamed rename id to code",
    whole: { name: "key_renamed", key: "code" },
  },
  {
    name: "other_key",
    sql: () =>
      `alter table other_key add other int; update other_key set other = 100 - id;
       alter table other_key drop constraint other_key_pkey, add primary key (other)`,
    whole: { name: "other_key", key: "other" },
  },
  {
    name: "dropped",
    sql: () => "drop table dropped; create table dropped (id int primary key, v text)",
    whole: undefined,
    says: /public\.dropped is given up: it was dropped/,
  },
  {
    name: "revoked",
    sql: (role) => `revoke select on revoked from ${role}`,
    whole: undefined,
    says: /public\.revoked is given up: .*GRANT SELECT ON "public"\."revoked" TO/,
  },
  {
    name: "secured",
    sql: () => "alter table secured enable row level security",
    whole: undefined,
    says: /public\.secured is given up: .*BYPASSRLS/,
  },
  {
    name: "keyless",
    sql: () => "alter table keyless drop constraint keyless_pkey",
    whole: undefined,
    says: /public\.keyless is given up: it has no primary key/,
  },
  { ...same("detached"), sql: () => "alter table parts detach partition detached" },
];

for (const { name, server, plugin } of CASES) {
  Deno.test(`tables that are altered while they are read arrive whole, or the log says why not (${name})`, async () => {
    await using kinesis = await startKinesalite();
    await using db = await freshDatabase(server);
    const role = `run_${db.slot}`;
    await db.sql(`create role ${role} login replication; grant usage on schema public to ${role};
      alter default privileges grant select on tables to ${role};
      create table late (id int primary key, v text, big text);
      insert into late select n, 'v', 'late' from generate_series(1001, 1010) n`);
    await db.sql(
      "create table parts (id int primary key, v text, big text) partition by range (id)",
    );
    for (const { name } of TABLES) {
      const of = name === "detached"
        ? "partition of parts for values from (0) to (1000)"
        : "(id int primary key, v text, big text)";
      await db.sql(`create table ${quoted(name)} ${of};
        alter table ${quoted(name)} alter big set storage external;
        insert into ${quoted(name)}
          select n, 'v' || n, repeat('x', 3000) || n from generate_series(1, ${ROWS}) n`);
    }
    await db.sql("create publication published for all tables");
    await using follower = await Follower.create(plugin, db, kinesis);
    await follower.start([
      "-f",
      "JSON",
      "-u",
      role,
      "--backfill-rate",
      RATE,
      "--exclude-table",
      "public.hidden",
    ]);
    await ask(follower.db, ["public.*"], "r");
    for (const { name, sql } of TABLES) {
      await waitFor(async () => {
        const records = (await follower.records()).map(parsed);
        return records.some(({ op, table }) => op === "read" && table === name);
      }, { what: `a first row of ${name}`, found: () => follower.program.stderr });
      await db.sql(sql(role));
    }
    await db.sql("alter table parts attach partition late for values from (1000) to (2000)");
    await ended(follower, "r");
    await follower.catchUp();
    assertEquals(await follower.program.stop(), 0, follower.program.stderr);

    const records = await follower.records();
    const copy = consumed(records, "position");
    const ends = records.map(parsed).filter(({ op }) => op === "backfill");
    for (const { whole, says, name } of [...TABLES, { ...same("late"), says: undefined }]) {
      if (whole === undefined) {
        assertMatch(follower.program.stderr, says!);
        assertEquals(ends.find(({ table }) => table === name)?.complete, false, name);
        continue;
      }
      assertEquals(ends.find(({ table }) => table === whole.name)?.complete, true, whole.name);
      const rows = await db.sql(`select to_jsonb(t) as row from ${quoted(whole.name)} t`);
      for (const { row } of rows) {
        const key = JSON.stringify({ [whole.key]: String(row[whole.key]) });
        const found = copy.get(`public.${whole.name}:${key}`);
        for (const [column, value] of Object.entries(row)) {
          const wanted = value === null ? null : String(value);
          assertEquals(found?.[column] ?? null, wanted, `${whole.name} ${key} ${column}`);
        }
      }
    }
    await server.sql(`drop owned by ${role}`, { database: db.database });
    await db.sql(`drop role ${role}`);
  });
}
