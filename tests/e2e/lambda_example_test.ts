import { assert, assertEquals } from "@std/assert";
import { createHandler } from "../../docs/examples/lambda.mjs";
import { type Delete, MemoryCopy, type Upsert } from "../../docs/examples/consumer.ts";
import { startEmbeddedPostgres } from "../support/embedded_postgres.ts";
import { deliver, type LambdaFunction } from "../support/event_source_mapping.ts";
import { type ExampleStream, publishExample } from "../support/example_stream.ts";
import { MAPPINGS } from "../support/lambda_mappings.ts";
import { randomFrom } from "../support/random.ts";

const server = await startEmbeddedPostgres();
const streams = new Map<string, Promise<ExampleStream>>();

/** One for all tests of this file. */
function example(aggregation: string): Promise<ExampleStream> {
  const known = streams.get(aggregation);
  if (known !== undefined) return known;
  const made = publishExample(server, ["--aggregation", aggregation]);
  streams.set(aggregation, made);
  return made;
}

for (const [name, options] of MAPPINGS) {
  Deno.test(`the Lambda example makes a copy of the table: ${name}`, async () => {
    const { shards, rows } = await example(options.parallelizationFactor ? "none" : "kpl");
    const copy = new FailingCopy(7);
    const handler: LambdaFunction = createHandler(copy);
    const invocations = await quietly(() => deliver(shards, handler, options));
    assertEquals(rowsOf(copy), rows);
    assert(copy.failures > 10 && invocations > copy.failures, `${copy.failures} failures`);
  });
}

Deno.test("the Lambda example continues with the record that failed", async () => {
  const copy = new FailingCopy(1);
  copy.failsAt = () => true;
  const record = (id: number) => ({
    sequenceNumber: `49${id}`,
    partitionKey: `public.t:${id}`,
    data: btoa(JSON.stringify({
      ...{ v: 1, op: "insert", commit_lsn: `0/${id}`, seq: 0, schema: "public", table: "t" },
      ...{ key: { id }, after: { id } },
    })),
  });
  const Records = [record(1), record(2)].map((kinesis) => ({ kinesis }));
  const answer = await quietly(() => createHandler(copy)({ Records }));
  assertEquals(answer, { batchItemFailures: [{ itemIdentifier: "491" }] });
  const state = { count: 1 };
  assertEquals(await createHandler(copy)({ Records: [], state }), { state, batchItemFailures: [] });
});

/** A copy whose database is away from time to time, before or after it did what it was asked. */
class FailingCopy extends MemoryCopy {
  failures = 0;
  failsAt: () => boolean;

  constructor(seed: number) {
    super();
    const random = randomFrom(seed);
    this.failsAt = () => random() < 0.01;
  }

  override async upsert(change: Upsert, position: string): Promise<void> {
    this.#mayFail();
    await super.upsert(change, position);
    this.#mayFail();
  }

  override async remove(change: Delete): Promise<void> {
    this.#mayFail();
    await super.remove(change);
  }

  override async storePosition(partitionKey: string, position: string): Promise<void> {
    this.#mayFail();
    await super.storePosition(partitionKey, position);
  }

  #mayFail(): void {
    if (!this.failsAt()) return;
    this.failures++;
    throw new Error("the database of the copy is away");
  }
}

function rowsOf(copy: MemoryCopy): unknown[][] {
  return copy.rows("public", "t")
    .map(({ id, version, big, note }) => [id, version, BigInt(big as bigint), note])
    .sort(([a], [b]) => Number(a) - Number(b));
}

/** The example logs each failure. */
async function quietly<Result>(run: () => Promise<Result>): Promise<Result> {
  const { error } = console;
  console.error = () => {};
  try {
    return await run();
  } finally {
    console.error = error;
  }
}
