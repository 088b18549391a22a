import { output } from "../../scripts/build/command_output.ts";
import { assert, assertEquals, assertMatch } from "@std/assert";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parse, parseAllDocuments } from "yaml";
import { parseCommandLine } from "../../src/cli/parse.ts";
import { METRICS } from "../../src/telemetry/metrics.ts";
import { PROCESS_METRICS } from "../../src/telemetry/process_metrics.ts";
import { STREAM_METRICS } from "../../src/telemetry/stream_metrics.ts";
import { hostWith } from "../support/command_line.ts";
import { startEmbeddedPostgres } from "../support/embedded_postgres.ts";
import { flagsFor, freshStreamName } from "../support/following_program.ts";
import { startKinesalite } from "../support/kinesalite.ts";
import { withFolder } from "./packages.ts";
import { Pg2kinesis } from "../support/pg2kinesis.ts";
import { freshDatabase } from "../support/shared_postgres.ts";

const EXAMPLES = fileURLToPath(new URL("../../docs/examples/", import.meta.url));
const read = (name: string) => Deno.readTextFile(join(EXAMPLES, name));

/** Of docs/metrics.md, which is generated from the same. */
const RUN_METRICS = new Set(
  [...METRICS, ...STREAM_METRICS, ...PROCESS_METRICS].map(({ name }) => name),
);

// deno-lint-ignore no-explicit-any
type Tree = any;

async function kubernetes(): Promise<Tree> {
  const documents = parseAllDocuments(await read("kubernetes.yaml")).map((each) => {
    assertEquals((each as Tree).errors, []);
    return (each as Tree).toJS();
  });
  return documents.find(({ kind }: Tree) => kind === "Deployment");
}

/** A container's command line and environment must be those of a run that stands by. */
function assertRuns(args: readonly string[], env: Record<string, string>): void {
  const command = parseCommandLine(args, { ...env, PGPASSWORD: "hidden" }, hostWith());
  if (command.kind !== "run") throw new Error(`is ${command.kind}`);
  assert(command.options.slot.standby);
  assertEquals(command.warnings, []);
  // Else the probes and Prometheus do not reach it.
  assertEquals(command.options.telemetry.metricsAddress?.hostname, "0.0.0.0");
  for (const name of Object.keys(env)) assert(!/PASSWORD|SECRET|KEY_ID/.test(name), name);
}

Deno.test("the Deployment runs two hosts without root, secrets or a root that can be written to", async () => {
  const { spec: { replicas, strategy, template: { spec } } } = await kubernetes();
  const [container] = spec.containers;
  const env = Object.fromEntries(container.env.map(({ name, value }: Tree) => [name, value]));
  assertRuns(container.args, env);
  assertEquals([replicas, strategy.type], [2, "Recreate"]);
  assertEquals(
    [container.livenessProbe.httpGet.path, container.readinessProbe.httpGet.path],
    ["/healthz", "/readyz"],
  );
  const { runAsNonRoot, runAsUser } = spec.securityContext;
  assertEquals([runAsNonRoot, runAsUser], [true, 65532]);
  const { readOnlyRootFilesystem, allowPrivilegeEscalation } = container.securityContext;
  assertEquals([readOnlyRootFilesystem, allowPrivilegeEscalation], [true, false]);
});

Deno.test("the task definition runs without root, secrets or a root that can be written to", async () => {
  const [container] = JSON.parse(await read("ecs-task-definition.json")).containerDefinitions;
  const env = Object.fromEntries(
    container.environment.map(({ name, value }: Tree) => [name, value]),
  );
  assertRuns(container.command, env);
  assertEquals([container.user, container.readonlyRootFilesystem], ["65532:65532", true]);
  const [kind, program, ...asked] = container.healthCheck.command;
  assertEquals([kind, program], ["CMD", "/usr/bin/pg2kinesis"]);
  assertEquals(parseCommandLine(asked, env, hostWith()).kind, "health");
  for (const { name, valueFrom } of container.secrets) {
    assertEquals(name, "PGPASSWORD");
    assertMatch(valueFrom, /^arn:aws:secretsmanager:/);
  }
});

Deno.test("the dashboard and the CloudWatch agent ask for metrics that there are", async () => {
  const exprs = await dashboardQueries();
  const asked = [...exprs.join(" ").matchAll(/(?:pg2kinesis|process)_\w+/g)].map(([name]) => name);
  assert(new Set(asked).size > 15);
  for (const name of asked) assert(RUN_METRICS.has(name.replace(/_bucket$/, "")), name);

  const agent = JSON.parse(await read("cloudwatch-agent.json")).logs.metrics_collected.prometheus;
  for (const name of Object.keys(agent.emf_processor.metric_unit)) {
    assert(RUN_METRICS.has(name), name);
  }
  for (const { metric_selectors } of agent.emf_processor.metric_declaration) {
    for (const selector of metric_selectors) {
      const [, prefix, names] = /^\^(\w+)\((.*)\)\$$/.exec(selector)!;
      for (const name of names!.split("|")) assert(RUN_METRICS.has(prefix + name), prefix + name);
    }
  }
  const scrape = parse(await read("cloudwatch-agent-prometheus.yaml"));
  assertEquals(scrape.scrape_configs[0].job_name, "pg2kinesis");
});

withTool("promtool", "the dashboard's queries are PromQL", () =>
  withFolder(async (folder) => {
    const rules = (await dashboardQueries()).map((expr, index) => ({
      record: `query_${index}`,
      // Grafana's own variables.
      expr: expr.replaceAll("$__rate_interval", "5m").replaceAll("$job", "pg2kinesis"),
    }));
    const path = join(folder, "rules.json");
    await Deno.writeTextFile(path, JSON.stringify({ groups: [{ name: "dashboard", rules }] }));
    assertMatch(await output("promtool", ["check", "rules", path]), /SUCCESS/);
  }));

withTool("terraform", "the configuration is in Terraform's own form", async () => {
  await output("terraform", ["fmt", "-check", "-diff", join(EXAMPLES, "terraform")]);
});

Deno.test("the metric filters match what the program logs", async () => {
  const text = await read("terraform/main.tf");
  const patterns = new Map(
    [...text.matchAll(/^ +(\w+) += \{ pattern = ("(?:[^"\\]|\\.)*"),/gm)]
      .map(([, name, pattern]) => [name!, JSON.parse(pattern!) as string]),
  );
  assertEquals([...patterns.keys()], ["Errors", "Warnings", "Disconnected", "Lag", "RetainedWal"]);
  await using server = await startEmbeddedPostgres();
  await using kinesis = await startKinesalite();
  await using db = await freshDatabase(server);
  await db.createSlot("test_decoding");
  const stream = freshStreamName();
  await kinesis.createStream(stream, 1);
  const flags = [...flagsFor(db, stream), "--log-format", "json"];
  await using program = await Pg2kinesis.start(flags, { env: kinesis.env });
  const logged = () => program.stderr.split("\n").filter((line) => line.startsWith("{"));
  const found = (name: string) =>
    logged().filter((line) => matches(patterns.get(name)!, JSON.parse(line))).length;
  await program.waitForLog(/"state":"streaming"/);
  assertEquals([found("Errors"), found("Disconnected")], [0, 0]);
  assert(found("Lag") > 0 && found("RetainedWal") > 0, program.stderr);
  await server.stop("immediate");
  await program.waitForLog(/"state":"reconnecting"/);
  assert(found("Disconnected") > 0 && found("Warnings") > 0, program.stderr);
  await server.start();
  const { stderr } = await Pg2kinesis.run([...flags, "-k", "not-there"], { env: kinesis.env });
  const [last] = stderr.trimEnd().split("\n").slice(-1);
  assert(matches(patterns.get("Errors")!, JSON.parse(last!)), stderr);
});

/** CloudWatch's pattern for JSON, as far as it is used here: one comparison. */
function matches(pattern: string, line: Tree): boolean {
  const [, path, operator, wanted] = /^\{ \$\.([\w.]+) (=|>=) (\S+) \}$/.exec(pattern)!;
  const value = path!.split(".").reduce((tree, name) => tree?.[name], line);
  return operator === "="
    ? value === JSON.parse(wanted!)
    : typeof value === "number" && value >= Number(wanted);
}

async function dashboardQueries(): Promise<string[]> {
  const { panels } = JSON.parse(await read("grafana-dashboard.json"));
  return panels.flatMap(({ targets }: Tree) => targets.map(({ expr }: Tree) => expr));
}

function withTool(tool: string, name: string, fn: () => Promise<void>): void {
  let isThere = true;
  try {
    new Deno.Command(tool, { args: ["--version"], stdout: "null", stderr: "null" }).outputSync();
  } catch (error) {
    assert(error instanceof Deno.errors.NotFound, String(error));
    isThere = false;
    console.warn(`skipped: ${tool} is not installed`);
  }
  Deno.test({ name, ignore: !isThere, fn });
}
