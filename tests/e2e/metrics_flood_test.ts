import { assertEquals } from "@std/assert";
import { startEmbeddedPostgres } from "../support/embedded_postgres.ts";
import { startKinesalite } from "../support/kinesalite.ts";
import { get, telemetryUrl } from "../support/metrics.ts";
import { Pg2kinesis, programCommand } from "../support/pg2kinesis.ts";
import { freshDatabase } from "../support/shared_postgres.ts";
import { flagsFor, freshStreamName, waitUntilConfirmed } from "../support/following_program.ts";

// `.ci/run` runs this with the executable too.

/** Of the program; as small beside the flood as 1,024 is beside one from elsewhere. */
const FILES = 128;

Deno.test("no flood on the metrics port ends or stalls a run", {
  ignore: Deno.build.os === "windows",
}, async () => {
  await using server = await startEmbeddedPostgres();
  await using kinesis = await startKinesalite();
  await using db = await freshDatabase(server);
  await db.sql("create table t (id int primary key)");
  await db.createSlot("test_decoding");
  const stream = freshStreamName();
  await kinesis.createStream(stream);
  const { command, args } = programCommand([...flagsFor(db, stream), "--metrics-addr", "0"]);
  const wrapper = await Deno.makeTempFile({ prefix: "pg2k_few_files_" });
  const quoted = [command, ...args].map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(" ");
  await Deno.writeTextFile(wrapper, `#!/bin/sh\nulimit -n ${FILES}\nexec ${quoted}\n`);
  await Deno.chmod(wrapper, 0o700);
  const connections: Deno.Conn[] = [];
  try {
    await using program = await Pg2kinesis.start([], { env: kinesis.env, executable: wrapper });
    const url = await telemetryUrl(program);
    await program.waitForLog(/following slot/);
    const place = { hostname: "127.0.0.1", port: Number(new URL(url).port) };
    for (let n = 0; n < 2 * FILES; n++) connections.push(await Deno.connect(place));
    const request = new TextEncoder().encode("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
    const requests = new Uint8Array(request.length * 1_000);
    for (let n = 0; n < 1_000; n++) requests.set(request, n * request.length);
    const flood = connections.slice(-10).map(async (connection) => {
      for (let n = 0; n < 200; n++) await connection.write(requests);
    });
    void Promise.allSettled(flood);
    for (const id of [1, 2, 3]) {
      await db.sql(`insert into t values (${id})`);
      await waitUntilConfirmed(db, program, 10_000);
    }
    assertEquals((await get(`${url}healthz`)).status, 200);
    assertEquals(await program.stop(), 0, program.stderr);
  } finally {
    for (const connection of connections) connection.close();
    await Deno.remove(wrapper);
  }
});
