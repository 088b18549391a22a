import { assert, assertEquals } from "@std/assert";
import { fileURLToPath } from "node:url";
import { startEmbeddedPostgres } from "../support/embedded_postgres.ts";
import { flagsFor, freshStreamName, waitUntilConfirmed } from "../support/following_program.ts";
import { Missing, output, testWith } from "../support/interop.ts";
import { startKinesalite } from "../support/kinesalite.ts";
import { Pg2kinesis } from "../support/pg2kinesis.ts";
import { readBack } from "../support/read_back.ts";
import { freshDatabase } from "../support/shared_postgres.ts";
import { codeOf } from "../support/documented_code.ts";

const EXAMPLE = fileURLToPath(new URL("../../docs/examples/firehose.json", import.meta.url));

const jq = await output("jq", ["--version"]).then(
  (version) => ({ version: version.trim() }),
  () => new Missing("jq is not installed"),
);

testWith(
  jq,
  "what Firehose would write to S3 is lines, partitioned by the example's jq, from which the documented query makes the table",
  async () => {
    await using server = await startEmbeddedPostgres();
    await using kinesis = await startKinesalite();
    await using db = await freshDatabase(server);
    const stream = freshStreamName();
    await kinesis.createStream(stream, 2);
    await db.sql(
      "create table t (id int primary key, note text); create table u (id int primary key)",
    );
    await db.sql(`create publication ${db.slot} for table t, u`);
    await db.createSlot("pgoutput");
    const start = () =>
      Pg2kinesis.start([
        ...flagsFor(db, stream),
        ...["--pg-slot-output-plugin", "pgoutput", "-f", "JSON", "--record-separator", "newline"],
        ...["--message-prefix", "*", "--transaction-records"],
      ], { env: kinesis.env });
    const killed = await start();
    await killed.waitForLog(/following slot/);
    await db.sql("insert into t select n, 'a' || chr(10) || n from generate_series(1, 200) n");
    await db.sql("update t set note = 'é' where id % 3 = 0; delete from t where id % 5 = 0");
    await db.sql(
      "insert into u select generate_series(1, 5); truncate u; insert into u values (7)",
    );
    await db.sql(
      "select pg_logical_emit_message(true, 'a', 'b'), pg_logical_emit_message(false, 'a', 'b')",
    );
    await waitUntilConfirmed(db, killed);
    await killed.kill9();
    await using program = await start();
    await db.sql("update t set id = id + 1000 where id % 7 = 0");
    await waitUntilConfirmed(db, program);
    assertEquals(await program.stop(), 0, program.stderr);

    // Firehose does not keep the order.
    const { records } = await readBack(kinesis.client, stream);
    assert(records.some(({ subSequence }) => subSequence !== undefined));
    const object = records.toReversed().map(({ text }) => text).join("");
    const lines = object.split("\n");
    assertEquals(lines.pop(), "");
    assertEquals(lines.length, records.length);

    const { ExtendedS3DestinationConfiguration: s3 } = JSON.parse(await Deno.readTextFile(EXAMPLE));
    const [{ Parameters: parameters }] = s3.ProcessingConfiguration.Processors;
    const valueOf = (name: string) =>
      parameters.find(({ ParameterName }: { ParameterName: string }) => ParameterName === name)
        .ParameterValue;
    assertEquals(valueOf("JsonParsingEngine"), "JQ-1.6");
    const keys = (await output("jq", ["-c", valueOf("MetadataExtractionQuery")], { input: object }))
      .trimEnd().split("\n").map((line) => JSON.parse(line));
    assertEquals(keys.length, lines.length);
    const asked = [...s3.Prefix.matchAll(/!\{partitionKeyFromQuery:(\w+)\}/g)].map(([, name]) =>
      name
    );
    const folders = new Set<string>();
    for (const [index, key] of keys.entries()) {
      const { schema = "none", table = "none", ts } = JSON.parse(lines[index]!);
      assertEquals(key, { schema, table, day: ts?.slice(0, 10) ?? "none" });
      assertEquals(Object.keys(key).sort(), asked.sort());
      folders.add(table);
    }
    assertEquals([...folders].sort(), ["none", "t", "u"]);

    const [, query] = await codeOf("Firehose");
    await db.sql(
      `create table changes (op text, timeline bigint, commit_lsn text, seq bigint, schema text, "table" text,
         key text, after text)`,
    );
    await db.sql(
      "insert into changes select r.* from unnest($1::text[]) l, " +
        `jsonb_to_record(l::jsonb) as r (op text, timeline bigint, commit_lsn text, seq bigint, schema text,
         "table" text, key text, after text)`,
      [lines],
    );
    const rows = await db.sql(`select "table", after from (${query}) q`);
    const found = (table: string) =>
      rows.filter((row) => row.table === table).map(({ after }) => JSON.parse(after))
        .sort((a, b) => a.id - b.id);
    assertEquals(found("t"), await db.sql("select id, note from t order by id"));
    assertEquals(found("u"), [{ id: 7 }]);
  },
);
