import { Buffer } from "node:buffer";
import type { UserRecord } from "../../docs/examples/consumer.ts";
import type { Java } from "../support/interop.ts";
import { LineProcess } from "./line_process.ts";

/** What Flink keeps in `java.util` is opened for Java 17 by its own start script, too. */
const OPENED = ["java.lang", "java.util", "java.time"]
  .map((name) => `--add-opens=java.base/${name}=ALL-UNNAMED`);

/** A job of Flink in a cluster of one process: `java/flink/` or `java/flink-1.19/`. */
export class FlinkReader implements AsyncDisposable {
  private constructor(private readonly process: LineProcess) {}

  static start(java: Java, mainClass: string, args: readonly string[]): FlinkReader {
    return new FlinkReader(LineProcess.start("java", [
      ...["-Xmx768m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", ...OPENED],
      // As the mocks of Kinesis speak: JSON.
      "-Daws.cborEnabled=false",
      ...java.commandLine(mainClass),
      ...args,
    ], {
      env: {
        AWS_CBOR_DISABLE: "1",
        AWS_ACCESS_KEY_ID: "AKIATESTTESTTESTTEST",
        AWS_SECRET_ACCESS_KEY: "test-secret",
      },
    }));
  }

  get log(): string {
    return this.process.log;
  }

  /** What the source gave so far, in the order of arrival, or what was let through. */
  async records(which: "delivered" | "newer"): Promise<UserRecord[]> {
    const line = await this.process.ask(which);
    return line.split(" ").filter((word) => word !== "").map((word) => {
      const [key, data] = word.split(":").map((text) =>
        new Uint8Array(Buffer.from(text, "base64"))
      );
      return { partitionKey: new TextDecoder().decode(key), data: data! };
    });
  }

  /** Lets the job fail at the next record, and go on from its last checkpoint. */
  async fail(): Promise<void> {
    await this.process.ask("fail");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.process[Symbol.asyncDispose]();
  }
}
