import { assert, assertEquals } from "@std/assert";
import { fileURLToPath } from "node:url";
import { startEmbeddedPostgres } from "../../support/embedded_postgres.ts";
import { freshDatabase } from "../../support/shared_postgres.ts";
import { Authority, hasOpenssl, NO_OPENSSL } from "../../support/certificates.ts";
import { postgresOptions, slotOptions } from "../../support/postgres_options.ts";

const ROWS = 75_000;
const CHILD = fileURLToPath(new URL("./backpressure_child.ts", import.meta.url));
const CONFIG = fileURLToPath(new URL("../../../deno.json", import.meta.url));

const ignore = !hasOpenssl() || Deno.build.os !== "linux";
if (ignore) console.warn(NO_OPENSSL, "or /proc (Linux)");

Deno.test(
  "memory stays flat while nobody takes from a backlog of 300 MB",
  { ignore },
  async (t) => {
    const authority = await Authority.create("Test");
    await using server = await startEmbeddedPostgres({
      tls: { ...await authority.sign("localhost", ["DNS:localhost"]), ca: authority.cert },
    });
    await using db = await freshDatabase(server);
    await db.sql("create table t (id int primary key, v text)");
    await db.createSlot("test_decoding");
    await db.sql(`alter table t alter v set storage plain;
    insert into t select g, repeat(md5(g::text), 125) from generate_series(1, ${ROWS}) g`);

    for (const sslMode of ["disable", "require"] as const) {
      await t.step(sslMode === "disable" ? "plain TCP" : "TLS", async () => {
        const options = postgresOptions(server, { database: db.database, sslMode });
        const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
          signal: AbortSignal.timeout(120_000),
          args: [
            ...["run", "-A", "--no-check", "--config", CONFIG, CHILD],
            JSON.stringify(options),
            JSON.stringify(slotOptions(db, "test_decoding")),
            JSON.stringify(ROWS),
          ],
        }).output();
        assertEquals(code, 0, new TextDecoder().decode(stderr));
        const { waiting, drained, seen } = JSON.parse(new TextDecoder().decode(stdout));
        console.log(`peak grew by ${waiting.peak} MB waiting, ${drained} MB in all`);
        assertEquals(seen, ROWS);
        assert(waiting.bytes < 8_000_000, `${waiting.bytes} bytes read while nobody took any`);
        assert(waiting.peak < 80, `peak memory grew by ${waiting.peak} MB while waiting`);
        assert(drained < 120, `peak memory grew by ${drained} MB in all`);
      });
    }
  },
);
