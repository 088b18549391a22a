import { KinesisClient, type KinesisClientConfig } from "@aws-sdk/client-kinesis";
import { CreateStreamCommand, DescribeStreamSummaryCommand } from "@aws-sdk/client-kinesis";
import { Server } from "node:http";
import { NodeHttpHandler } from "@smithy/node-http-handler";
import kinesalite from "kinesalite";
import { waitFor } from "./wait.ts";

/** A Kinesis service for one test: where it is, and a client of its own. */
export interface TestKinesis extends AsyncDisposable {
  /** `http://127.0.0.1:4567`: what `AWS_ENDPOINT_URL_KINESIS` is set to. */
  readonly endpoint: string;
  /** What a process needs in its environment to find it. */
  readonly env: Readonly<Record<string, string>>;
  readonly client: KinesisClient;
  /** Creates a stream and waits until it is active. */
  createStream(name: string, shards?: number): Promise<void>;
}

const REGION = "us-east-1";
/** Kinesalite checks that requests are signed, not by whom. */
const CREDENTIALS = { accessKeyId: "AKIATESTTESTTESTTEST", secretAccessKey: "test-secret" };

export interface KinesaliteOptions {
  /** How long a new stream is CREATING. */
  readonly createStreamMs?: number;
  /** How long a split or a merge takes. */
  readonly updateStreamMs?: number;
  readonly deleteStreamMs?: number;
}

/** Starts kinesalite in this process, on a free port, with everything in memory. */
export async function startKinesalite(options: KinesaliteOptions = {}): Promise<TestKinesis> {
  const server = kinesalite({
    createStreamMs: 0,
    updateStreamMs: 0,
    deleteStreamMs: 0,
    ...options,
  });
  tolerateAborts(server);
  const port = await new Promise<number>((resolve, reject) => {
    server.on("error", reject);
    server.listen(0, "127.0.0.1", () => resolve(server.address().port));
  });
  return testKinesis(`http://127.0.0.1:${port}`, () => {
    // Not kinesalite's own close, which closes its database under requests that still run; and not
    // awaited, since on Deno 2.4 it waits for ever for a request that was cut short.
    Server.prototype.close.call(server);
    server.closeAllConnections();
    return Promise.resolve();
  });
}

/** Kinesalite throws out of its socket's event when a client is killed in the middle of a request. */
function tolerateAborts(server: Server): void {
  const [handle] = server.listeners("request") as [(...args: unknown[]) => void];
  server.removeAllListeners("request");
  server.on("request", (request, response) => {
    handle.call(server, request, response);
    request.removeAllListeners("error");
    request.on("error", () => {});
  });
}

/** The Kinesis service at `endpoint`, whichever it is; `stop` ends it. */
export function testKinesis(
  endpoint: string,
  stop: () => Promise<void>,
  config: KinesisClientConfig = {},
): TestKinesis {
  const client = new KinesisClient({
    endpoint,
    region: REGION,
    credentials: CREDENTIALS,
    requestHandler: new NodeHttpHandler(),
    ...config,
  });
  return {
    endpoint,
    env: kinesisEnv(endpoint),
    client,
    createStream: async (name, shards = 1) => {
      await client.send(new CreateStreamCommand({ StreamName: name, ShardCount: shards }));
      await waitForActiveStream(client, name);
    },
    [Symbol.asyncDispose]: async () => {
      client.destroy();
      await stop();
    },
  };
}

/** What a process needs in its environment to reach the mock at `endpoint`. */
export function kinesisEnv(endpoint: string): Record<string, string> {
  return {
    AWS_ENDPOINT_URL_KINESIS: endpoint,
    AWS_REGION: REGION,
    AWS_ACCESS_KEY_ID: CREDENTIALS.accessKeyId,
    AWS_SECRET_ACCESS_KEY: CREDENTIALS.secretAccessKey,
  };
}

export async function waitForActiveStream(client: KinesisClient, name: string): Promise<void> {
  const command = new DescribeStreamSummaryCommand({ StreamName: name });
  let status: string | undefined;
  await waitFor(async () => {
    const { StreamDescriptionSummary: summary } = await client.send(command);
    status = summary?.StreamStatus;
    return status === "ACTIVE";
  }, { what: `the stream ${name} to be active`, found: () => status });
}
