import { assert, assertEquals } from "@std/assert";
import { startEmbeddedPostgres } from "../support/embedded_postgres.ts";
import { deliver } from "../support/event_source_mapping.ts";
import { type ExampleStream, publishExample } from "../support/example_stream.ts";
import { pythonWithPackages, testWith } from "../support/interop.ts";
import { MAPPINGS } from "../support/lambda_mappings.ts";
import { LineProcess } from "./line_process.ts";

const python = await pythonWithPackages();
const streams = new Map<string, Promise<ExampleStream>>();

/** One for all tests of this file. */
function example(aggregation: string): Promise<ExampleStream> {
  const known = streams.get(aggregation);
  if (known !== undefined) return known;
  const made = startEmbeddedPostgres().then(async (server) => {
    await using _server = server;
    return await publishExample(server, ["--aggregation", aggregation]);
  });
  streams.set(aggregation, made);
  return made;
}

for (const [name, options] of MAPPINGS) {
  testWith(
    python,
    `the Lambda example in Python makes a copy of the table: ${name}`,
    async ({ executable, cwd, env }) => {
      const { shards, rows } = await example(options.parallelizationFactor ? "none" : "kpl");
      await using process = LineProcess.start(executable, ["serve_lambda.py"], { cwd, env });
      const invocations = await deliver(
        shards,
        async (event) => JSON.parse(await process.ask(JSON.stringify(event))),
        options,
      );
      const copy = JSON.parse(await process.ask("rows"));
      const text = (value: unknown) => typeof value === "bigint" ? String(value) : value;
      assertEquals(copy.rows, rows.map((row) => row.map(text)));
      assert(copy.failures > 10 && invocations > copy.failures, `${copy.failures} failures`);
    },
  );
}

testWith(python, "the examples in Python have the types that they say", async (python) => {
  const files = ["consumer.py", "lambda_function.py"].map((name) =>
    `../../../docs/examples/${name}`
  );
  await python.run(["-m", "mypy", "--strict", "--cache-dir=/dev/null", ...files]);
});
