import { assert, assertEquals, assertMatch } from "@std/assert";
import {
  findDebianPostgres,
  NO_DEBIAN_POSTGRES,
  startDebianPostgres,
} from "../support/debian_postgres.ts";
import { startEmbeddedPostgres } from "../support/embedded_postgres.ts";
import { startKinesalite } from "../support/kinesalite.ts";
import { Pg2kinesis } from "../support/pg2kinesis.ts";
import { freshDatabase } from "../support/shared_postgres.ts";
import type { TestPostgres } from "../support/test_postgres.ts";
import { flagsFor, freshStreamName, storedTexts } from "../support/following_program.ts";

const kinesis = await startKinesalite();
const embedded = await startEmbeddedPostgres();
const debian = findDebianPostgres() === undefined ? undefined : await startDebianPostgres();
if (debian === undefined) console.warn(NO_DEBIAN_POSTGRES);

interface Case {
  readonly what: string;
  readonly table: string;
  /** Behind CREATE PUBLICATION name FOR TABLE. */
  readonly publication: string;
  readonly insert: string;
  /** Of the run and of `check`; undefined: all is well. */
  readonly found: readonly [run: RegExp, check: RegExp] | undefined;
  readonly versions: readonly ("15" | "18")[];
}

const GENERATED = "t (a int, g int generated always as (a * 2) stored primary key)";
const NOT_SENT =
  /pgoutput does not send g of its primary key, which is generated; use --full-change/;

const CASES: readonly Case[] = [
  {
    what: "a generated key",
    table: GENERATED,
    publication: "t",
    insert: "insert into t (a) values (1)",
    found: [NOT_SENT, /✗ unsent_keys: pgoutput does not send 1 column .*: public\.t\.g; /],
    versions: ["15"],
  },
  {
    what: "a generated key that the publication does not publish",
    table: GENERATED,
    publication: "t",
    insert: "insert into t (a) values (1)",
    found: [NOT_SENT, /✗ unsent_keys: the publication leaves out 1 column .*: public\.t\.g; /],
    versions: ["18"],
  },
  {
    what: "a generated key that the publication publishes",
    table: GENERATED,
    publication: "t with (publish_generated_columns = stored)",
    insert: "insert into t (a) values (1)",
    found: undefined,
    versions: ["18"],
  },
  {
    // The rest of the key would pass for the whole.
    what: "a key that is generated in part",
    table: "t (a int, v int, g int generated always as (v * 2) stored, primary key (a, g))",
    publication: "t",
    insert: "insert into t (a, v) values (1, 1), (1, 2)",
    found: [NOT_SENT, /✗ unsent_keys: .*1 column of primary keys.*: public\.t\.g; /],
    versions: ["15", "18"],
  },
  {
    what: "a column list without the key",
    table: "t (id int primary key, v int)",
    publication: "t (v) with (publish = 'insert')",
    insert: "insert into t values (1, 1)",
    found: [
      /primary key \(id\) that pg_catalog knows; either the publication's column list leaves them out/,
      /✗ unsent_keys: the publication leaves out 1 column of primary keys: public\.t\.id; .* → add them/,
    ],
    versions: ["15", "18"],
  },
];

for (const { what, table, publication, insert, found, versions } of CASES) {
  for (const version of versions) {
    Deno.test(`pgoutput and ${what} (${version})`, {
      ignore: version === "15" && debian === undefined,
    }, async () => {
      await using db = await freshDatabase((version === "15" ? debian : embedded) as TestPostgres);
      const stream = freshStreamName();
      await kinesis.createStream(stream);
      await db.sql(`create table ${table}`);
      await db.sql(`create publication ${db.slot} for table ${publication}`);
      await db.createSlot("pgoutput");
      const flags = [...flagsFor(db, stream), "--pg-slot-output-plugin", "pgoutput", "-f", "CSV"];
      const check = await Pg2kinesis.run(["check", ...flags], { env: kinesis.env });
      if (found === undefined) assert(!/unsent_keys/.test(check.stdout), check.stdout);
      else assertMatch(check.stdout, found[1]);
      assertEquals(check.stdout.includes("✗ unsent_keys"), found !== undefined, check.stdout);

      await using program = await Pg2kinesis.start(flags, { env: kinesis.env });
      await program.waitForLog(/following slot/);
      await db.sql(insert);
      if (found === undefined) {
        await program.waitForLog(/following slot/);
        while ((await storedTexts(kinesis, stream)).length === 0) {
          await new Promise((resolve) => setTimeout(resolve, 100));
        }
        assertMatch((await storedTexts(kinesis, stream)).join(), /INSERT,2$/);
        return;
      }
      assertEquals(await program.waitForExit(), 1, program.stderr);
      assertMatch(program.stderr, found[0]);
      assert(!/probably/.test(program.stderr), program.stderr);
      assertEquals(await storedTexts(kinesis, stream), []);
    });
  }
}
