import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { flagList } from "../../src/cli/flags.ts";
import { environmentName } from "../../src/cli/flag.ts";

const EXAMPLES = fileURLToPath(new URL("../../docs/examples/", import.meta.url));

withTool("promtool", "the alerts are rules that Prometheus takes", async () => {
  await run("promtool", ["check", "rules", "alerts.yml"]);
});

withTool("promtool", "each alert fires when it should, and not before", async () => {
  await run("promtool", ["test", "rules", "alerts_test.yml"]);
  const rules = await Deno.readTextFile(join(EXAMPLES, "alerts.yml"));
  const tests = await Deno.readTextFile(join(EXAMPLES, "alerts_test.yml"));
  for (const [, alert] of rules.matchAll(/- alert: (\S+)/g)) {
    assert(new RegExp(`alertname: ${alert}\n`).test(tests), `no test lets ${alert} fire`);
  }
});

Deno.test("the alerts ask for metrics that there are", async () => {
  const rules = await Deno.readTextFile(join(EXAMPLES, "alerts.yml"));
  const documented = await Deno.readTextFile(join(EXAMPLES, "../metrics.md"));
  const asked = new Set([...rules.matchAll(/pg2kinesis_\w+/g)].map(([name]) => name));
  assert(asked.size > 5);
  for (const name of asked) assert(new RegExp(`\`${name}[\`{]`).test(documented), name);
});

withTool(
  "systemd-analyze",
  "the unit is one that systemd takes, and leaves little to attack",
  async () => {
    const directory = await Deno.makeTempDir({ prefix: "pg2k_unit_" });
    try {
      const unit = await Deno.readTextFile(join(EXAMPLES, "pg2kinesis.service"));
      const path = join(directory, "pg2kinesis.service");
      // It wants an executable that is there.
      await Deno.writeTextFile(path, unit.replace("/usr/local/bin/pg2kinesis", "/bin/true"));
      const { stderr } = await run("systemd-analyze", ["verify", "--man=no", path]);
      assertEquals(stderr, "");
      // Of 100; the network, which it is there for, is 10 of them.
      await run("systemd-analyze", ["security", "--offline=true", "--threshold=15", path]);
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
);

Deno.test("the unit's settings are the program's, and a reload does not stop it", async () => {
  const unit = await Deno.readTextFile(join(EXAMPLES, "pg2kinesis.service"));
  for (const [, name] of unit.matchAll(/^# +(PG2KINESIS_\w+)=/gm)) {
    assert(flagList.some((flag) => environmentName(flag) === name), name);
  }
  assertStringIncludes(unit, "kill -HUP");
  assertStringIncludes(unit, "RestartPreventExitStatus=2");
});

Deno.test("the unit leaves no core dump, which would have the secrets in it", async () => {
  const unit = await Deno.readTextFile(join(EXAMPLES, "pg2kinesis.service"));
  const service = unit.slice(unit.indexOf("[Service]"), unit.indexOf("[Install]"));
  assertEquals(service.match(/^LimitCORE=.*$/gm), ["LimitCORE=0"]);
});

function withTool(tool: string, name: string, fn: () => Promise<void>): void {
  const ignore = !isThere(tool);
  if (ignore) console.warn(`skipped: ${tool} is not installed`);
  Deno.test({ name, ignore, fn });
}

function isThere(tool: string): boolean {
  try {
    return new Deno.Command(tool, { args: ["--version"], stderr: "null" }).outputSync().success;
  } catch {
    return false;
  }
}

async function run(command: string, args: string[]) {
  const output = await new Deno.Command(command, { args, cwd: EXAMPLES }).output();
  const [stdout, stderr] = [output.stdout, output.stderr].map((bytes) =>
    new TextDecoder().decode(bytes)
  );
  assert(output.success, `${command} ${args.join(" ")}: ${stdout}${stderr}`);
  return { stdout, stderr };
}
