import { Buffer } from "node:buffer";
import { systemClock } from "../../../src/base/clock.ts";
import { FaultPlan } from "../../support/fault_server/fault_plan.ts";
import { FaultyService } from "../../support/fault_server/faulty_service.ts";
import { type FaultServer, serveFaults } from "../../support/fault_server/http_server.ts";
import { KinesisService } from "../../support/fault_server/kinesis_service.ts";
import type { StreamState } from "../../support/fault_server/stream_state.ts";
import { randomFrom } from "../../support/random.ts";
import { sleep } from "../../support/wait.ts";
import type { KeptPlan } from "./kept_plan.ts";

const STREAM = "changes";

/** The fault server with one stream, which tells of each put as it is stored. */
export class KeptKinesis implements AsyncDisposable {
  readonly #server: FaultServer;
  readonly #faulty: FaultyService;
  readonly #over = new AbortController();
  readonly #troubling: Promise<unknown>;
  reshards = 0;
  /** Called as a put is stored, before it is answered. */
  onStored: (isRead: boolean) => void = () => {};
  /** The number that a row had when it was made, of the last one that was read. */
  lastRead = 0;
  /** The last request has begun to be answered. */
  hasLastRequest = false;

  constructor(plan: KeptPlan, lastRequest: string) {
    const random = randomFrom(plan.seed + 201);
    const service = new KinesisService();
    service.call("CreateStream", { StreamName: STREAM, ShardCount: plan.shards });
    const faults = new FaultPlan({ random, chances: plan.chances, slowMs: 200 });
    this.#faulty = new FaultyService(service, faults, sleep);
    this.#server = serveFaults(this.#faulty);
    const ending = Buffer.from(`"request":"${lastRequest}"`);
    service.onStored = ({ data }) => {
      const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
      const isRead = bytes.includes('"op":"read"');
      if (isRead) {
        const at = bytes.lastIndexOf('"v":"old ');
        if (at >= 0) this.lastRead = parseInt(bytes.toString("latin1", at + 9, at + 19)) || 0;
        if (bytes.includes(ending)) this.hasLastRequest = true;
      }
      this.onStored(isRead);
    };
    this.#troubling = Promise.all([
      this.#reshard(randomFrom(plan.seed + 202), plan.reshardsPerSecond),
      this.#stick(randomFrom(plan.seed + 203), plan.sticks),
    ]);
  }

  get env(): Record<string, string> {
    return {
      AWS_ENDPOINT_URL_KINESIS: this.#server.endpoint,
      AWS_REGION: "us-east-1",
      AWS_ACCESS_KEY_ID: "AKIACAMPAIGNCAMPAIGN",
      AWS_SECRET_ACCESS_KEY: "campaign-secret",
    };
  }

  get flags(): readonly string[] {
    return ["-k", STREAM];
  }

  get faults(): number {
    return this.#faulty.plan.total;
  }

  get stream(): StreamState {
    return this.#faulty.service.stream(STREAM);
  }

  /** No more trouble; what is there goes on. */
  async calm(): Promise<void> {
    this.#over.abort();
    await this.#troubling;
    this.#faulty.plan.settings = { ...this.#faulty.plan.settings, chances: {} };
  }

  async #reshard(random: () => number, perSecond: number): Promise<void> {
    const { signal } = this.#over;
    while (perSecond > 0 && !signal.aborted) {
      await systemClock.sleep(random() * 2000 / perSecond, signal);
      const kind = (["split", "merge", "rescale"] as const)[Math.floor(random() * 3)]!;
      this.#faulty.reshard(STREAM, kind);
      this.reshards++;
    }
  }

  async #stick(random: () => number, sticks: boolean): Promise<void> {
    const { signal } = this.#over;
    while (sticks && !signal.aborted) {
      const start = BigInt(Math.floor(random() * 16)) << 124n;
      const end = start + (BigInt(1 + Math.floor(random() * 8)) << 124n);
      this.#faulty.stuck = { start, end };
      await systemClock.sleep(300 + random() * 1500, signal);
      this.#faulty.stuck = { start: 0n, end: 0n };
      await systemClock.sleep(random() * 2000, signal);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.calm();
    await this.#server[Symbol.asyncDispose]();
  }
}
