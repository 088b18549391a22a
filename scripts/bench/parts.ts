/**
 * Drains the same backlog by one run, and by the runs of `pg2kinesis plan`, several times in turn:
 *
 *     deno task bench:parts [PARTS [TRANSACTIONS [ROUNDS]]]
 *
 * Beside the time it takes on this machine it prints the processor time of each process: with a core for
 * each, the slowest one is the limit.
 */
import { parseArgs } from "node:util";
import { Pg2kinesis } from "../../tests/support/pg2kinesis.ts";
import { readCount, readOrExit } from "../command_line.ts";
import { type Backlog, createTables, makeSmallTransactions } from "./backlog.ts";
import { BenchServer, PUBLICATION } from "./bench_server.ts";
import { assertRuns } from "./drain.ts";
import { processUsage } from "./process_usage.ts";
import { Sink } from "./sink.ts";
import { median } from "./statistics.ts";

interface Result {
  readonly wallSeconds: number;
  /** Of the busiest process of a kind. */
  readonly walsenderSeconds: number;
  readonly programSeconds: number;
}

const { parts, transactions, rounds } = readOrExit("deno task bench:parts", readOptions);

await using server = await BenchServer.start();
const { host, port, superuser } = server.postgres;
const connection = ["-h", host, "-p", String(port), "-u", superuser, "-d", "postgres"];
const usual = [...connection, "--pg-sslmode", "disable", "-f", "JSON", "-k", "bench"];
await createTables(server);

const results = new Map<string, Result[]>();
for (let round = 0; round < rounds; round++) {
  const base = `round${round}`;
  const { stdout, stderr } = await Pg2kinesis.run([
    ...["plan", "--json", "--parts", String(parts), "-s", base, ...usual],
  ]);
  if (stdout === "") throw new Error(stderr);
  const plan = JSON.parse(stdout);
  for (const statement of plan.statements) await server.query(statement);
  await server.createSlot(base, "pgoutput");
  const whole = ["run", "-s", base, "--pg-slot-output-plugin", "pgoutput", ...usual];
  const runs: Record<string, readonly (readonly string[])[]> = {
    "1 run": [[...whole, "--pg-publication", PUBLICATION]],
    [`${parts} parts`]: plan.commands.map(([, ...args]: string[]) => args),
  };
  const backlog = await makeSmallTransactions(server, transactions);
  for (const [name, commands] of Object.entries(runs)) {
    const result = await drain(commands, backlog);
    results.set(name, [...results.get(name) ?? [], result]);
    console.log(name, JSON.stringify(result));
  }
  for (const name of [base, ...Array.from({ length: parts }, (_, part) => `${base}_${part}`)]) {
    await server.dropSlot(name);
  }
  await server.query("truncate orders, order_lines");
}
for (const [name, all] of results) {
  const of = (key: keyof Result) => median(all.map((each) => each[key])).toFixed(2);
  console.log(
    `${name}: ${of("wallSeconds")} s; walsender ${of("walsenderSeconds")} s, program ` +
      `${of("programSeconds")} s of processor time (the busiest of each)`,
  );
}

function readOptions() {
  const { values, positionals } = parseArgs({
    options: { help: { type: "boolean", default: false } },
    allowPositionals: true,
  });
  if (values.help) {
    console.log("usage: deno task bench:parts [PARTS [TRANSACTIONS [ROUNDS]]]");
    Deno.exit();
  }
  const [parts = "4", transactions = "30000", rounds = "3", ...others] = positionals;
  if (others.length > 0) throw new Error(`Unknown argument ${others[0]}`);
  return {
    parts: readCount("parts", parts, 1),
    transactions: readCount("transactions", transactions, 1),
    rounds: readCount("rounds", rounds, 1),
  };
}

async function drain(
  commands: readonly (readonly string[])[],
  { endLsn }: Backlog,
): Promise<Result> {
  await using sink = await Sink.start(4);
  const startedAt = performance.now();
  await using programs = new AsyncDisposableStack();
  const started = await Promise.all(commands.map(async (args) => ({
    slot: args.find((_, index) => ["-s", "--pg-slot-name"].includes(args[index - 1]!))!,
    program: programs.use(await Pg2kinesis.start(args, { env: sink.env })),
  })));
  let wallSeconds = 0, walsenderSeconds = 0, programSeconds = 0;
  for (const { slot, program } of started) {
    await server.waitForConfirmed(slot, endLsn, () => assertRuns(program));
    wallSeconds = (performance.now() - startedAt) / 1000;
  }
  for (const { slot, program } of started) {
    const sum = ({ userSeconds, systemSeconds }: ReturnType<typeof processUsage>) =>
      userSeconds + systemSeconds;
    walsenderSeconds = Math.max(
      walsenderSeconds,
      sum(processUsage(await server.walsenderPid(slot))),
    );
    programSeconds = Math.max(programSeconds, sum(processUsage(program.pid)));
    await program.stop();
  }
  return { wallSeconds, walsenderSeconds, programSeconds };
}
