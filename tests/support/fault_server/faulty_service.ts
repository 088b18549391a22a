import type { FaultPlan } from "./fault_plan.ts";
import type { KinesisService } from "./kinesis_service.ts";
import { ServiceError, throttled } from "./service_error.ts";
import { hashKeyOf, type StreamState } from "./stream_state.ts";

const MAX_OPEN_SHARDS = 12;

/** The connection broke: there is no answer. */
export class ConnectionCut extends Error {
  override name = "ConnectionCut";
}

// deno-lint-ignore no-explicit-any -- the API's own JSON shapes
type Json = any;

/** A Kinesis service whose puts meet faults. */
export class FaultyService {
  /** Puts into this part of the hash space, `end` not included, are throttled. */
  stuck = { start: 0n, end: 0n };
  /** A test's own fault: told of each call before anything happens, it may throw. */
  onCall: (operation: string, input: Json) => void = () => {};

  constructor(
    readonly service: KinesisService,
    readonly plan: FaultPlan,
    private readonly sleep: (ms: number) => Promise<void>,
  ) {}

  /** Answers one call; rejects with a {@linkcode ServiceError} or a {@linkcode ConnectionCut}. */
  async call(operation: string, input: Json): Promise<object> {
    this.onCall(operation, input);
    if (operation !== "PutRecord" && operation !== "PutRecords") {
      return this.service.call(operation, input);
    }
    const isStuck = (record: Json) => {
      const { start, end } = this.stuck;
      if (start === end) return false;
      const hashKey = hashKeyOf(record.ExplicitHashKey, record.PartitionKey);
      return start <= hashKey && hashKey < end;
    };
    if (operation === "PutRecord" ? isStuck(input) : input.Records.some(isStuck)) {
      this.plan.refuseStuck();
      if (operation === "PutRecord") throw throttled("that is stuck");
      return this.#partly(
        input,
        (record) => !isStuck(record),
        "ProvisionedThroughputExceededException",
      );
    }
    const { settings } = this.plan;
    const answer = () => this.service.call(operation, input);
    const fault = this.plan.next();
    switch (fault) {
      case undefined:
        return answer();
      case "throttle":
        if (operation === "PutRecord") throw throttled("of the fault plan");
        return this.#partly(input, () => false, "ProvisionedThroughputExceededException");
      case "partial":
        if (operation === "PutRecord") throw new ServiceError("InternalFailure", "fault plan", 500);
        return this.#partly(input, () => settings.random() >= 0.5, "InternalFailure");
      case "error":
        throw settings.random() < 0.5
          ? new ServiceError("InternalFailure", "fault plan", 500)
          : new ServiceError("ServiceUnavailable", "fault plan", 503);
      case "cut-before":
        throw new ConnectionCut();
      case "cut-after":
        answer();
        throw new ConnectionCut();
      case "error-after":
        answer();
        throw new ServiceError("InternalFailure", "fault plan, after it was stored", 500);
      case "slow-before":
        await this.sleep(settings.slowMs);
        return answer();
      case "slow-after": {
        const answered = answer();
        await this.sleep(settings.slowMs);
        return answered;
      }
      case "split":
      case "merge":
      case "rescale":
        this.reshard(input.StreamName, fault);
        return answer();
      default:
        throw new Error(`unknown fault ${fault satisfies never}`);
    }
  }

  /** Splits a shard, merges two, or gives the stream another number of shards; which, at random. */
  reshard(streamName: string, kind: "split" | "merge" | "rescale"): void {
    const { random } = this.plan.settings;
    const below = (limit: number) => Math.floor(random() * limit);
    this.service.reshard(streamName, (stream: StreamState) => {
      const open = stream.open.sort((a, b) => (a.start < b.start ? -1 : 1));
      if (kind === "rescale") return stream.rescale(1 + below(MAX_OPEN_SHARDS / 2));
      if (kind === "merge" && open.length > 1) {
        const i = below(open.length - 1);
        return stream.merge(open[i]!.id, open[i + 1]!.id);
      }
      if (open.length >= MAX_OPEN_SHARDS) return;
      const { id, start, end } = open[below(open.length)]!;
      if (end - start < 1000n) return;
      const part = BigInt(1 + below(98));
      stream.split(id, start + (end - start) * part / 100n);
    });
  }

  /** Refuses a part of the records, stores the others. */
  #partly(input: Json, takes: (record: Json) => boolean, ErrorCode: string): object {
    const refused = { ErrorCode, ErrorMessage: "fault plan" };
    const isTaken: boolean[] = input.Records.map(takes);
    const taken = input.Records.filter((_: unknown, i: number) => isTaken[i]);
    const stored: Json = taken.length === 0
      ? { Records: [] }
      : this.service.call("PutRecords", { ...input, Records: taken });
    let next = 0;
    const Records = isTaken.map((taken: boolean) => taken ? stored.Records[next++] : refused);
    return { FailedRecordCount: Records.length - taken.length, Records };
  }
}
