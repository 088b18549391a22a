import { assert, assertEquals, assertMatch } from "@std/assert";
import { startAwsGate } from "../support/aws_gate.ts";
import { startEmbeddedPostgres } from "../support/embedded_postgres.ts";
import { Pg2kinesis } from "../support/pg2kinesis.ts";
import { freshDatabase } from "../support/shared_postgres.ts";
import { check, newWorld, SETTINGS, STREAM, type World } from "./checked_world.ts";

const server = await startEmbeddedPostgres({ settings: SETTINGS });

const TABLES = ["fine", "twice", "left_out", "odd", "other_key", "full_other_key"];

/** The parts of a plan for three, carried out. */
async function planned(world: World): Promise<void> {
  for (const table of TABLES) {
    await world.db.sql(`create table ${table} (id int primary key, at int)`);
  }
  await world.db.sql("create table whole (id int); alter table whole replica identity full");
  const { stdout } = await Pg2kinesis.run(["plan", ...world.flags, "--parts", "3", "--json"]);
  for (const statement of JSON.parse(stdout).statements) {
    if (!/^(BEGIN|COMMIT);$/.test(statement)) await world.db.sql(statement);
  }
}

async function checkPart(world: World, part: number) {
  const flags = [...world.flags, "-s", `${world.db.slot}_${part}`];
  const checked = await check({
    ...world,
    flags: [...flags, "--pg-slot-output-plugin", "pgoutput"],
  });
  assert(!/only some rows/.test(checked.stdout), checked.stdout);
  return checked.lines;
}

Deno.test("check finds parts that overlap, or leave rows out", async () => {
  await using aws = await startAwsGate();
  await aws.kinesis.createStream(STREAM, 1);
  await using db = await freshDatabase(server);
  const world = newWorld(db, aws);
  await planned(world);
  const partsOf = async (part: number) =>
    (await checkPart(world, part)).filter((line) => ["parts", "row_filter"].includes(line.check))
      .map(({ mark, found }) => `${mark} ${found}`);
  const [fine, ...more] = await partsOf(0);
  assertMatch(fine!, /^✓ 3 parts, .*_0 to .*_2: each row of their 7 tables is in one of them$/);
  assertEquals(more, []);

  const last = `alter publication ${db.slot}_2`;
  await db.sql(`
    ${last} drop table only twice; ${last} add table only twice; ${last} add table only whole;
    ${last} drop table only left_out;
    ${last} drop table only odd; ${last} add table only odd where (id > 7);
    alter table other_key drop constraint other_key_pkey, add primary key (at);
    alter table full_other_key drop constraint full_other_key_pkey, add primary key (at);
    alter table full_other_key replica identity full;
    create table later (id int primary key)`);
  const found = (await partsOf(1)).join("\n");
  for (
    const line of [
      /^! parts overlap, so that rows are published twice, of public\.twice \(.*, public\.whole \([^,]*, [^,]*\)$/m,
      /^! parts leave rows out of public\.left_out \(2 of 3\)$/m,
      /^! whether the parts overlap or leave rows out cannot be determined, .*: public\.odd$/m,
      /^✗ 1 table whose row filter uses a column that is not in the replica identity: public\.other_key;/m,
      /^! 2 tables spread over parts by columns that are not of the primary key: public\.full_other_key, public\.other_key;/m,
    ]
  ) assertMatch(found, line);
  assert(!/fine|✓/.test(found), found);

  await db.sql(`drop publication ${db.slot}_2; select pg_drop_replication_slot('${db.slot}_1')`);
  const lines = await checkPart(world, 0);
  const texts = lines.map(({ mark, found }) => `${mark} ${found}`).join("\n");
  assertMatch(
    texts,
    /^! the rows of 1 part of 3 are in no publication: there is none named .*_2$/m,
  );
  assertMatch(texts, /^! no slot keeps the changes of 1 part of 3: there is none named .*_1$/m);
  // Whichever part is checked, the advice is the same, so that it is not followed twice.
  const absent = lines.find(({ found }) => /not published: 1 table/.test(found));
  assertMatch(
    absent!.remedy!,
    new RegExp(`PUBLICATION "${db.slot}_0" ADD TABLE ONLY public.later`),
  );
});
