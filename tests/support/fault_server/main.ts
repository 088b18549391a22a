/**
 * The fault server on its own:
 *
 *     deno run -A tests/support/fault_server/main.ts --port 4567 --seed 7 --stream changes --shards 4 \
 *       --faults throttle=0.05,cut-after=0.02 --script 100=split --slow-ms 2000 --limit bucket
 *
 * Prints `listening on URL`, then nothing; ends with SIGINT or SIGTERM. `--sink` answers and keeps
 * nothing, `--limit` holds shards to 1 MiB/s and 1,000 records/s.
 */
import { parseArgs as untypedParseArgs } from "@std/cli/parse-args";
import { randomFrom } from "../random.ts";
import { FaultPlan, parseChances, parseScript } from "./fault_plan.ts";
import { FaultyService } from "./faulty_service.ts";
import { serveFaults } from "./http_server.ts";
import { KinesisService } from "./kinesis_service.ts";

const parseArgs = untypedParseArgs as unknown as (
  args: string[],
  options: object,
) => Record<string, string | undefined> & { sink: boolean };

const args = parseArgs(Deno.args, {
  string: [
    "port",
    "seed",
    "stream",
    "shards",
    "faults",
    "script",
    "slow-ms",
    "limit",
    "listing-lag-ms",
    "max-record-kib",
  ],
  boolean: ["sink"],
});
const kind = args.limit as "bucket" | "window" | undefined;
const service = new KinesisService({
  isSink: args.sink,
  listingLagMs: Number(args["listing-lag-ms"] ?? 0),
  maxRecordBytes: Number(args["max-record-kib"] ?? 1024) * 1024,
  throughput: kind && { kind, bytesPerSecond: 1024 * 1024, recordsPerSecond: 1000 },
});
if (args.stream !== undefined) {
  service.call("CreateStream", { StreamName: args.stream, ShardCount: Number(args.shards ?? 1) });
}
const plan = new FaultPlan({
  random: randomFrom(Number(args.seed ?? 1)),
  chances: parseChances(args.faults ?? ""),
  script: parseScript(args.script ?? ""),
  slowMs: Number(args["slow-ms"] ?? 1_000),
});
const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
const server = serveFaults(new FaultyService(service, plan, sleep), Number(args.port ?? 0));
console.log(`listening on ${server.endpoint}`);
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  Deno.addSignalListener(signal, () => Deno.exit(0));
}
