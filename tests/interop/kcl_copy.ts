import { waitFor } from "../support/wait.ts";
import type { Java } from "../support/interop.ts";
import { LineProcess } from "./line_process.ts";

/** What the application has read and made of it. */
export interface KclState {
  /** User records that the library gave it, and changes that it applied. */
  readonly records: number;
  readonly applied: number;
  readonly shardsEnded: number;
  readonly rows: readonly Readonly<Record<string, unknown>>[];
}

/** The application of the Kinesis Client Library in `java/kcl/KclCopy.java`, in a process of its own. */
export class KclCopy implements AsyncDisposable {
  private constructor(private readonly process: LineProcess) {}

  static start(
    java: Java,
    place: { stream: string; application: string; kinesis: string; dynamo: string },
  ): KclCopy {
    const { stream, application, kinesis, dynamo } = place;
    return new KclCopy(LineProcess.start("java", [
      ...["-Xmx512m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"],
      // moto does not know CBOR.
      "-Daws.cborEnabled=false",
      ...java.commandLine("KclCopy"),
      ...[stream, application, kinesis, dynamo],
    ]));
  }

  /** Waits until it reads so many shards. */
  async untilReading(shards: number): Promise<void> {
    await waitFor(() => this.process.log.split("COPY reads ").length > shards, {
      what: `the library to read ${shards} shards`,
      timeoutMs: 180_000,
      intervalMs: 200,
      found: () => this.process.log.slice(-3000),
    });
  }

  async state(): Promise<KclState> {
    return JSON.parse(await this.process.ask(""));
  }

  /** Asks until the state is as wanted. */
  async until(
    what: string,
    isReached: (state: KclState) => boolean,
    timeoutMs: number,
  ): Promise<KclState> {
    let state: KclState | undefined;
    return await waitFor(async () => {
      state = await this.state();
      return isReached(state) ? state : undefined;
    }, {
      what,
      timeoutMs,
      intervalMs: 500,
      found: () => ({ ...state, rows: state?.rows.length, log: this.process.log.slice(-3000) }),
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.process[Symbol.asyncDispose]();
  }
}
