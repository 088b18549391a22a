import { assertEquals } from "@std/assert";
import { dirname } from "node:path";
import { startEmbeddedPostgres } from "../support/embedded_postgres.ts";
import { flagsFor, waitUntilConfirmed } from "../support/following_program.ts";
import { output, pythonWithPackages, testWith } from "../support/interop.ts";
import { startKinesalite } from "../support/kinesalite.ts";
import { Pg2kinesis } from "../support/pg2kinesis.ts";
import { freshDatabase } from "../support/shared_postgres.ts";
import { codeOf } from "../support/documented_code.ts";

for (const aggregation of ["none", "kpl"]) {
  testWith(
    await pythonWithPackages(),
    `the commands in docs/consuming.md read a stream, --aggregation ${aggregation}`,
    async (python) => {
      await using server = await startEmbeddedPostgres();
      await using kinesis = await startKinesalite();
      await using db = await freshDatabase(server);
      await kinesis.createStream("shop-changes", 1);
      await db.sql("create table orders (id int primary key, note text)");
      await db.sql(`create publication ${db.slot} for table orders`);
      await db.createSlot("pgoutput");
      await using program = await Pg2kinesis.start([
        ...flagsFor(db, "shop-changes"),
        ...["--pg-slot-output-plugin", "pgoutput", "-f", "JSON", "--aggregation", aggregation],
      ], { env: kinesis.env });
      await program.waitForLog(/following slot/);
      await db.sql("insert into orders select n, 'note ' || n from generate_series(1, 20) n");
      await db.sql("update orders set note = 'é' where id = 7; delete from orders where id > 10");
      await waitUntilConfirmed(db, program);

      const [shell, script] = await codeOf("AWS CLI and boto3");
      const env = {
        ...kinesis.env,
        AWS_ENDPOINT_URL: kinesis.endpoint,
        AWS_DEFAULT_REGION: "us-east-1",
        PATH: `${dirname(python.executable)}:${Deno.env.get("PATH")}`,
        ...python.env,
      };
      if (aggregation === "none") {
        const lines = (await output("bash", ["-euo", "pipefail", "-c", shell!], { env })).trim();
        const changes = lines.split("\n").map((line) => JSON.parse(line));
        assertEquals(changes.map(({ op }) => op), [
          ...Array(20).fill("insert"),
          "update",
          ...Array(10).fill("delete"),
        ]);
      }
      const rows = await output(python.executable, ["-c", script!], { env });
      const expected = await db.sql("select id, note from orders");
      assertEquals(
        rows.trim().split("\n").sort(),
        expected.map(({ id, note }) => `{'id': ${id}, 'note': '${note}'}`).sort(),
      );
    },
  );
}
