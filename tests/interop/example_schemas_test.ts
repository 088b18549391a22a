import { assert, assertEquals, assertMatch } from "@std/assert";
import { fileURLToPath } from "node:url";
import {
  Missing,
  type Python,
  pythonWithPackages,
  terraformProvider,
  testWith,
} from "../support/interop.ts";

const EXAMPLES = fileURLToPath(new URL("../../docs/examples/", import.meta.url));

const python = await pythonWithPackages();
const provider = await terraformProvider();

/** What a tool finds in an example, and in one that has this replaced. */
async function assertFinds(
  python: Python,
  tool: readonly string[],
  name: string,
  mistakes: readonly (readonly [correct: string, wrong: string, finding: RegExp])[],
  more: readonly string[] = [],
): Promise<void> {
  const findings = async (path: string) =>
    (await python.run(["validate_example.py", ...tool, path, ...more])).trim();
  assertEquals(await findings(EXAMPLES + name), "");
  const text = await Deno.readTextFile(EXAMPLES + name);
  for (const [correct, wrong, finding] of mistakes) {
    assert(text.includes(correct), correct);
    const path = await Deno.makeTempFile({ suffix: name.replace(/.*\//, "") });
    try {
      await Deno.writeTextFile(path, text.replace(correct, wrong));
      assertMatch(await findings(path), finding);
    } finally {
      await Deno.remove(path);
    }
  }
}

testWith(
  python,
  "the Kubernetes manifests are by the schemas of Kubernetes, with no field that it does not know",
  (python) =>
    assertFinds(
      python,
      ["kubernetes"],
      "kubernetes.yaml",
      [
        ["replicas:", "replica:", /Deployment: spec: .*'replica' was unexpected/],
        ["containerPort: 9187", "containerPort: many", /'many' is not of type/],
        ["image:", "# image:", /image/],
      ].slice(0, 2) as [string, string, RegExp][],
    ),
);

testWith(
  python,
  "the ECS task definition is a request that the API's model knows",
  (python) =>
    assertFinds(python, ["ecs", "RegisterTaskDefinition"], "ecs-task-definition.json", [
      ['"stopTimeout"', '"stopTime"', /stopTime/],
      ['"FARGATE"', '"FARGATES"', /FARGATES is none of EC2, FARGATE/],
      ['"family": "pg2kinesis",', "", /Missing required parameter.*family/],
    ]),
);

testWith(
  python,
  "the Firehose stream is a request that the API's model knows",
  (python) =>
    assertFinds(python, ["firehose", "CreateDeliveryStream"], "firehose.json", [
      ['"ErrorOutputPrefix"', '"ErrorPrefix"', /ErrorPrefix/],
      ['"JsonParsingEngine"', '"JsonEngine"', /JsonEngine is none of/],
    ]),
);

testWith(
  python instanceof Missing
    ? python
    : provider instanceof Missing
    ? provider
    : { python, folder: provider.folder },
  "Terraform's resources have the attributes that the provider for AWS has, and those that it requires",
  ({ python, folder }) =>
    assertFinds(
      python,
      ["terraform"],
      "terraform/main.tf",
      [
        ["retention_period", "retention", /aws_kinesis_stream.* has no retention$/m],
        ["stream_mode = ", "mode = ", /stream_mode_details has no mode/],
        ["  alarm_name  ", "  name  ", /aws_cloudwatch_metric_alarm.* lacks alarm_name/],
        ["aws_kinesis_stream.changes.arn", "aws_kinesis_stream.changes.urn", /has no urn/],
      ],
      [folder],
    ),
);
