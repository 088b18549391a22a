import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Fault } from "../support/fault_server/fault_plan.ts";

const SCRIPT = join(
  dirname(fileURLToPath(import.meta.url)),
  "../support/fault_server/main.ts",
);
export const STREAM = "changes";

export interface FaultServerOptions {
  readonly seed: number;
  readonly shards: number;
  /** Chance of each fault, for each put. */
  readonly chances?: Partial<Record<Fault, number>>;
  /** How long a slow answer takes. */
  readonly slowMs?: number;
  /** How long ListShards goes on to give the shards from before a reshard. */
  readonly listingLagMs?: number;
  /** Holds shards to 1 MiB/s and 1,000 records/s. */
  readonly limit?: "bucket" | "window";
  /** Answers and keeps nothing. */
  readonly isSink?: boolean;
}

/** A Kinesis record as the server gives it back. */
export interface DumpedRecord {
  readonly arrival: number;
  readonly shardId: string;
  readonly sequenceNumber: string;
  readonly partitionKey: string;
  /** Base64. */
  readonly data: string;
  readonly arrivedAtMs: number;
}

export interface DumpedShard {
  readonly id: string;
  readonly start: string;
  readonly end: string;
  readonly parents: readonly string[];
}

export interface FaultStats {
  readonly puts: number;
  readonly faults: number;
  readonly injected: Partial<Record<Fault, number>>;
}

/** What a shard was given since it was opened. */
export interface ShardUsage {
  readonly id: string;
  readonly bytes: number;
  readonly records: number;
  /** Records refused since its throughput was used up. */
  readonly throttled: number;
}

/** The fault server of the tests in a process of its own, with one stream; `await using` ends it. */
export class FaultServerProcess implements AsyncDisposable {
  private constructor(
    private readonly process: Deno.ChildProcess,
    private readonly endpoint: string,
  ) {}

  static async start(options: FaultServerOptions): Promise<FaultServerProcess> {
    const { seed, shards, chances = {}, slowMs = 300, listingLagMs = 0, limit, isSink } = options;
    const process = new Deno.Command(Deno.execPath(), {
      // deno-fmt-ignore
      args: [
        "run", "-A", "--quiet", SCRIPT,
        "--seed", String(seed), "--stream", STREAM, "--shards", String(shards),
        "--faults", formatChances(chances), "--slow-ms", String(slowMs),
        "--listing-lag-ms", String(listingLagMs),
        ...limit === undefined ? [] : ["--limit", limit],
        ...isSink ? ["--sink"] : [],
      ],
      stdin: "null",
      stdout: "piped",
    }).spawn();
    const reader = process.stdout.getReader();
    const line = new TextDecoder().decode((await reader.read()).value);
    reader.releaseLock();
    const endpoint = /^listening on (\S+)/.exec(line)?.[1];
    if (endpoint === undefined) throw new Error(`the fault server did not start: ${line}`);
    return new FaultServerProcess(process, endpoint);
  }

  /** What a process needs in its environment to put here. */
  get env(): Record<string, string> {
    return {
      AWS_ENDPOINT_URL_KINESIS: this.endpoint,
      AWS_REGION: "us-east-1",
      AWS_ACCESS_KEY_ID: "AKIACAMPAIGNCAMPAIGN",
      AWS_SECRET_ACCESS_KEY: "campaign-secret",
    };
  }

  /** All Kinesis records, in the order of their arrival. */
  async records(): Promise<DumpedRecord[]> {
    const text = await this.#ask("GET", `records?stream=${STREAM}`);
    return text.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line));
  }

  async shards(): Promise<DumpedShard[]> {
    return JSON.parse(await this.#ask("GET", `shards?stream=${STREAM}`));
  }

  async stats(): Promise<FaultStats> {
    return JSON.parse(await this.#ask("GET", "stats"));
  }

  /** Of each shard that is held to a limit. */
  async usage(): Promise<ShardUsage[]> {
    return JSON.parse(await this.#ask("GET", `usage?stream=${STREAM}`));
  }

  /** Other chances from now on. */
  async setChances(chances: Partial<Record<Fault, number>>): Promise<void> {
    await this.#ask("POST", `faults?chances=${encodeURIComponent(formatChances(chances))}`);
  }

  /** Throttles all puts into so many sixteenths of the hash space from now on. */
  async stick(from: number, sixteenths: number): Promise<void> {
    await this.#ask("POST", `stick?from=${from}&sixteenths=${sixteenths}`);
  }

  /** Changes the shards now; which, at random. */
  async reshard(kind: "split" | "merge" | "rescale"): Promise<void> {
    await this.#ask("POST", `reshard?stream=${STREAM}&kind=${kind}`);
  }

  async #ask(method: string, what: string): Promise<string> {
    const response = await fetch(`${this.endpoint}/admin/${what}`, {
      method,
      headers: { connection: "close" },
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`fault server: ${method} ${what}: ${text}`);
    return text;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.process.kill("SIGKILL");
    await this.process.status;
    await this.process.stdout.cancel();
  }
}

function formatChances(chances: Partial<Record<Fault, number>>): string {
  return Object.entries(chances).map(([fault, chance]) => `${fault}=${chance}`).join(",");
}
