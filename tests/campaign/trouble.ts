import { randomFrom } from "../support/random.ts";
import { sleep } from "../support/wait.ts";
import type { FaultServerProcess } from "./fault_server_process.ts";
import type { Scenario } from "./plan.ts";

/** Splits, merges and rescales now and then, beside what the puts' faults do. */
export class Resharding {
  #isOver = false;
  readonly #running: Promise<void>;

  constructor(kinesis: FaultServerProcess, { seed, reshardsPerSecond }: Scenario) {
    this.#running = reshardsPerSecond === 0
      ? Promise.resolve()
      : this.#run(kinesis, randomFrom(seed + 7), 1000 / reshardsPerSecond);
  }

  async #run(kinesis: FaultServerProcess, random: () => number, meanMs: number): Promise<void> {
    while (!this.#isOver) {
      await sleep(Math.min(2_000, random() * 2 * meanMs));
      await kinesis.reshard((["split", "merge", "rescale"] as const)[Math.floor(random() * 3)]!);
    }
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#running;
  }
}

/**
 * Refuses all puts into a part of the hash space for a while, again and again; all the time into most of
 * it where much is written, so that it would have to be held somewhere.
 */
export class StickingLane {
  #isOver = false;
  readonly #running: Promise<void>;

  constructor(private readonly kinesis: FaultServerProcess, scenario: Scenario) {
    const { seed, hasStuckLane, extras } = scenario;
    this.#running = extras.includes("bulk")
      ? kinesis.stick(0, 12)
      : hasStuckLane
      ? this.#run(kinesis, randomFrom(seed + 11))
      : Promise.resolve();
  }

  async #run(kinesis: FaultServerProcess, random: () => number): Promise<void> {
    while (!this.#isOver) {
      await kinesis.stick(Math.floor(random() * 16), 1 + Math.floor(random() * 8));
      await sleep(500 + random() * 2_500);
      await kinesis.stick(0, 0);
      await sleep(random() * 500);
    }
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#running;
    await this.kinesis.stick(0, 0);
  }
}
