import { assert, assertEquals } from "@std/assert";
import { startEmbeddedPostgres } from "../support/embedded_postgres.ts";
import { startKinesisLocal } from "../support/kinesis_local.ts";
import { hasNode } from "../support/kinesis_local.ts";
import type { TestKinesis } from "../support/kinesalite.ts";
import { randomFrom } from "../support/random.ts";
import { freshDatabase } from "../support/shared_postgres.ts";
import { follow, freshStreamName, waitUntilConfirmed } from "../support/following_program.ts";
import { changeTable, reshard, TABLE } from "./changing_table.ts";
import { KclCopy } from "./kcl_copy.ts";
import { startMoto } from "./moto.ts";
import { java, Missing, pythonWithPackages, testWith } from "../support/interop.ts";

const [library, python] = [await java("kcl"), await pythonWithPackages()];
const needed = library instanceof Missing
  ? library
  : python instanceof Missing
  ? python
  : { library, python };

const FLAGS = ["--pg-slot-output-plugin", "pgoutput", "-f", "JSON"];
const ROUNDS = 16;

testWith(
  needed,
  "the Kinesis Client Library makes a copy of the table from 4 shards of moto",
  async ({ library, python }) => {
    await using moto = await startMoto(python);
    const { kills, closed } = await copyWithKcl(moto, moto, library, { reshards: false });
    assert(kills > 0);
    assertEquals(closed, 0);
  },
);

testWith(
  hasNode() ? needed : new Missing("kinesis-local needs Node.js"),
  "the Kinesis Client Library makes a copy of the table while shards are split and merged and the program is killed",
  async ({ library, python }) => {
    await using moto = await startMoto(python);
    await using kinesis = await startKinesisLocal();
    const { kills, closed } = await copyWithKcl(kinesis, moto, library, { reshards: true });
    assert(kills > 0);
    assert(closed > 4, `only ${closed} shards were closed`);
  },
);

/** Changes a table at random while the program publishes and the library reads; their tables have to be equal. */
async function copyWithKcl(
  kinesis: TestKinesis,
  dynamo: TestKinesis,
  library: Exclude<Awaited<ReturnType<typeof java>>, Missing>,
  { reshards }: { readonly reshards: boolean },
): Promise<{ kills: number; closed: number }> {
  const random = randomFrom(17);
  await using server = await startEmbeddedPostgres();
  await using db = await freshDatabase(server);
  const stream = freshStreamName();
  await kinesis.createStream(stream, 4);
  await db.sql(TABLE);
  await db.sql(`create publication ${db.slot} for table t`);
  await db.createSlot("pgoutput");
  await using application = KclCopy.start(library, {
    ...{ stream, application: "copy", kinesis: kinesis.endpoint, dynamo: dynamo.endpoint },
  });
  // kinesis-local does not say which shards were open at first: the library has to see them.
  await application.untilReading(4);
  let program = await follow(db, kinesis, stream, FLAGS);
  let kills = 0;
  let closed = 0;
  try {
    for (let round = 0; round < ROUNDS; round++) {
      await changeTable(db, round, random);
      if (reshards && round % 3 === 1) closed += await reshard(kinesis, stream, random);
      if (round % 6 === 4) {
        await program.kill9();
        kills++;
        program = await follow(db, kinesis, stream, FLAGS);
      }
    }
    await waitUntilConfirmed(db, program);
    assertEquals(await program.stop(), 0, program.stderr);
  } finally {
    await program[Symbol.asyncDispose]();
  }
  const rows = await db.sql("select id, version, note from t");
  const expected = sorted(rows);
  assert(expected.length > 100);
  const state = await application.until(
    `the library's table to have the ${expected.length} rows of the database, after ${closed} shards ended`,
    ({ rows, shardsEnded }) =>
      shardsEnded >= closed && JSON.stringify(sorted(rows)) === JSON.stringify(expected),
    180_000,
  );
  console.log(
    `${state.records} records read, ${state.applied} applied, ${kills} kills, ${closed} shards closed`,
  );
  return { kills, closed };
}

const sorted = (rows: readonly Readonly<Record<string, unknown>>[]) =>
  rows.map(({ id, version, note }) => ({ id, version, note }))
    .sort((a, b) => Number(a.id) - Number(b.id));
