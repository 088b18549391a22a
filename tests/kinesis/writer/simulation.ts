import { openStream } from "../../../src/kinesis/stream/open_stream.ts";
import {
  StreamWriter,
  type StreamWriterOptions,
} from "../../../src/kinesis/writer/stream_writer.ts";
import { FaultPlan, type FaultPlanSettings } from "../../support/fault_server/fault_plan.ts";
import { FaultyService } from "../../support/fault_server/faulty_service.ts";
import {
  KinesisService,
  type ServiceSettings,
} from "../../support/fault_server/kinesis_service.ts";
import { randomFrom } from "../../support/random.ts";
import { type SeenRecord, seenRecords } from "./seen_by_consumer.ts";
import { SimulatedKinesis } from "./simulated_kinesis.ts";
import { VirtualClock } from "../../support/virtual_clock.ts";

export const STREAM = "changes";
const HOUR_MS = 3_600_000;

export interface SimulationOptions {
  readonly shards?: number;
  readonly service?: Partial<ServiceSettings>;
  readonly faults?: Partial<FaultPlanSettings>;
  readonly latencyMs?: number;
  readonly seed?: number;
}

/** A fault server, a clock and a network for writers, all of it in virtual time. */
export class Simulation {
  readonly clock = new VirtualClock();
  readonly random: () => number;
  readonly service: KinesisService;
  readonly faulty: FaultyService;
  readonly api: SimulatedKinesis;

  constructor(options: SimulationOptions = {}) {
    const { shards = 1, latencyMs = 20, seed = 1 } = options;
    this.random = randomFrom(seed);
    this.service = new KinesisService({ ...options.service, now: () => this.clock.now() });
    this.service.call("CreateStream", { StreamName: STREAM, ShardCount: shards });
    const plan = new FaultPlan({ random: this.random, ...options.faults });
    this.faulty = new FaultyService(this.service, plan, (ms) => this.clock.sleep(ms));
    const network = { latencyMs, timeoutMs: 30_000 };
    this.api = new SimulatedKinesis(this.faulty, this.clock, network, this.random);
  }

  /** Lets `work` use a writer until it is done, an hour at most. */
  async run<T>(
    options: Partial<StreamWriterOptions>,
    work: (writer: StreamWriter) => Promise<T>,
  ): Promise<T> {
    const { clock, random, api } = this;
    const started = async () => {
      const { signal } = new AbortController();
      const found = { name: STREAM, create: false, shardCount: 0 };
      const stream = await openStream(api, found, clock, random, signal);
      const defaults = { api, stream, aggregation: "kpl", lingerMs: 0, clock, random } as const;
      const writer = new StreamWriter({ ...defaults, ...options });
      try {
        return await work(writer);
      } finally {
        writer.close();
      }
    };
    return await clock.run(started(), HOUR_MS);
  }

  /** All user records in the order of their arrival. */
  get seen(): SeenRecord[] {
    const stream = this.service.stream(STREAM);
    return stream.records.flatMap((put) => seenRecords(put, stream));
  }

  /** Texts of all user records in the order of their arrival. */
  get texts(): string[] {
    return this.seen.map(({ text }) => text);
  }
}
