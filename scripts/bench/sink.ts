import { fileURLToPath } from "node:url";
import type { Arrivals, KeptPut, SinkStats, WatchedPut } from "./answering_sink.ts";

const SCRIPT = fileURLToPath(new URL("./answering_sink.ts", import.meta.url));

/** The answering sink in its own process; `await using` ends it. */
export class Sink implements AsyncDisposable {
  private constructor(private readonly process: Deno.ChildProcess, private readonly port: number) {}

  /**
   * `keep` makes it hold what it is given, for {@linkcode puts}; `count` lets it look into each record,
   * for {@linkcode arrivals}; `watch` what of it matches, for {@linkcode watched}.
   */
  static async start(
    shards: number,
    { keep = false, count = false, watch }: {
      readonly keep?: boolean;
      readonly count?: boolean;
      readonly watch?: RegExp;
    } = {},
  ): Promise<Sink> {
    const flags = [
      ...keep ? ["--keep"] : [],
      ...count ? ["--count"] : [],
      ...watch ? ["--watch", watch.source] : [],
    ];
    const process = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--quiet", SCRIPT, "--shards", String(shards), ...flags],
      stdin: "null",
      stdout: "piped",
    }).spawn();
    const reader = process.stdout.getReader();
    const line = new TextDecoder().decode((await reader.read()).value);
    reader.releaseLock();
    if (!/^\d+\n$/.test(line)) throw new Error(`the sink did not start: ${line}`);
    return new Sink(process, Number(line));
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** What a process needs in its environment to put here. */
  get env(): Record<string, string> {
    return {
      AWS_ENDPOINT_URL_KINESIS: this.url,
      AWS_REGION: "us-east-1",
      AWS_ACCESS_KEY_ID: "AKIABENCHBENCHBENCHB",
      AWS_SECRET_ACCESS_KEY: "bench-secret",
    };
  }

  watched(): Promise<WatchedPut[]> {
    return this.#get("watched");
  }

  stats(): Promise<SinkStats> {
    return this.#get("stats");
  }

  puts(): Promise<KeptPut[]> {
    return this.#get("puts");
  }

  arrivals(): Promise<Arrivals> {
    return this.#get("arrivals");
  }

  async #get<T>(what: string): Promise<T> {
    const response = await fetch(`http://127.0.0.1:${this.port}/${what}`, {
      headers: { connection: "close" },
    });
    return await response.json();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.process.kill("SIGKILL");
    await this.process.status;
    await this.process.stdout.cancel();
  }
}
