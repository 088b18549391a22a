import { FaultPlan } from "../support/fault_server/fault_plan.ts";
import { FaultyService } from "../support/fault_server/faulty_service.ts";
import { serveFaults } from "../support/fault_server/http_server.ts";
import { KinesisService } from "../support/fault_server/kinesis_service.ts";
import { Pg2kinesis } from "../support/pg2kinesis.ts";
import { freshDatabase } from "../support/shared_postgres.ts";
import { waitUntilConfirmed } from "../support/following_program.ts";
import type { TestPostgres } from "../support/test_postgres.ts";
import { sleep } from "../support/wait.ts";
import { STREAM } from "./fault_server_process.ts";
import { readStatus } from "./process_status.ts";
import type { Proof } from "./proof.ts";
import { connectionFlags } from "./site.ts";

const TABLES = 200;
const ROWS = 50;
const CATCH_UP_MS = 300_000;

/** 200 tables into 200 streams: how long until all are stored that were waiting, and the memory it takes. */
export async function proveManyStreams(server: TestPostgres): Promise<Proof> {
  const lines: string[] = [];
  for (const routes of [[], ["--route", "public.t_*=app.{schema}.{table}"]]) {
    const service = new KinesisService();
    const create = (StreamName: string) =>
      service.call("CreateStream", { StreamName, ShardCount: 1 });
    create(STREAM);
    const tables = Array.from({ length: TABLES }, (_, n) => `t_${n}`);
    for (const table of tables) create(`app.public.${table}`);
    await using kinesis = serveFaults(new FaultyService(service, new FaultPlan(), sleep));
    await using db = await freshDatabase(server);
    for (const table of tables) {
      await db.sql(`create table ${table} (id int primary key, note text)`);
    }
    await db.sql(`create publication ${db.slot} for all tables`);
    await db.createSlot("pgoutput");
    for (const table of tables) {
      await db.sql(`insert into ${table} select n, 'note' from generate_series(1, ${ROWS}) n`);
    }
    const startedMs = performance.now();
    await using program = await Pg2kinesis.start([
      ...connectionFlags(server, db.database, db.slot, "pgoutput"),
      ...["-f", "JSON", ...routes],
    ], {
      env: {
        AWS_ENDPOINT_URL_KINESIS: kinesis.endpoint,
        AWS_REGION: "us-east-1",
        AWS_ACCESS_KEY_ID: "AKIACAMPAIGNCAMPAIGN",
        AWS_SECRET_ACCESS_KEY: "campaign-secret",
      },
    });
    await program.waitForLog(/following slot/, CATCH_UP_MS);
    const followedMs = performance.now();
    await waitUntilConfirmed(db, program, CATCH_UP_MS);
    const seconds = (ms: number) => (ms / 1000).toFixed(1);
    lines.push(
      `${routes.length === 0 ? 1 : TABLES} streams: followed the slot after ${
        seconds(followedMs - startedMs)
      } s, all stored after ${seconds(performance.now() - startedMs)} s, at most ${
        readStatus(program.pid, "VmHWM").toFixed(0)
      } MiB`,
    );
    if (await program.stop() !== 0) return { lines: [...lines, program.stderr], isProven: false };
  }
  const [load] = Deno.loadavg();
  return { lines: [...lines, `load ${load!.toFixed(1)}`], isProven: true };
}
