import { getLogger } from "@logtape/logtape";
import { RunError } from "../../base/errors.ts";
import { Histogram } from "../../base/histogram.ts";
import {
  loneRecordBytes,
  MAX_LONE_FRAMING_BYTES,
  plainRecordBytes,
} from "../aggregate/aggregate.ts";
import { AggregateQueue, type QueueContext } from "./aggregate_queue.ts";
import type { KinesisApi } from "../client/kinesis_api.ts";
import { Backoff } from "../../base/backoff.ts";
import type { Clock } from "../../base/clock.ts";
import { hashPartitionKey } from "../stream/hash_key.ts";
import { Lane, type LaneContext } from "./lane.ts";
import type { PutLimits } from "./lane_queue.ts";
import { Pacer } from "./pacing.ts";
import { fitPartitionKey } from "./fit_partition_key.ts";
import { type Asked, type KinesisRefusal, refusalError } from "../client/kinesis_failure.ts";
import { RecordQueue } from "./record_queue.ts";
import { regroup } from "./reshard.ts";
import { ShardFollower } from "./shard_follower.ts";
import { SlowKeys } from "./slow_keys.ts";
import { overlap, type Shard, type ShardMap } from "../stream/shard_map.ts";
import {
  type Failing,
  type FailureReason,
  type LaneStats,
  PUT_SECONDS_BOUNDS,
  type StreamStats,
} from "../../base/writer_stats.ts";
import type { OpenStream } from "../stream/open_stream.ts";
import { StreamWatch } from "../stream/stream_watch.ts";
import { RequestTrouble } from "../client/request_trouble.ts";
import type { RecordTarget, Ticket } from "../../base/record_writer.ts";
import { WriterMemory } from "./writer_memory.ts";

const MAX_PUT_RECORDS = 500;
/**
 * A refusal that a closed shard may explain is believed when this many listings do not: some 15 s. The
 * last doubt is whether the service no longer takes the sequence number of the record before, as may
 * be after a long silence: without it the records of a lane still follow one another.
 */
const MAX_DOUBTS = 12;

const log = getLogger(["pg2kinesis", "kinesis"]);

export interface StreamWriterOptions {
  readonly api: KinesisApi;
  readonly stream: OpenStream;
  readonly aggregation: "kpl" | "none";
  readonly lingerMs: number;
  /** What it shares with the writers of other streams; its own unless given. */
  readonly memory?: WriterMemory;
  /** Gets how long each answered put took; its own unless given. */
  readonly putSeconds?: Histogram;
  /** Waits for a turn to ask for the stream's summary, which an account may do 20 times a second. */
  readonly turn?: () => Promise<void>;
  readonly clock: Clock;
  /** Numbers in [0, 1). */
  readonly random: () => number;
  /** Whether records may be put now; always, unless given. What may not waits, and is taken all the same. */
  readonly mayPut?: () => boolean;
}

/** Puts user records into one stream: a lane for each open shard. */
export class StreamWriter implements RecordTarget {
  /** Resolves, never rejects, when the writer cannot go on: with the reason for the operator. */
  readonly failure: Promise<RunError>;
  #resolveFailure!: (error: RunError) => void;
  /** Why nothing is put any more: a RunError, or that the writer was closed. */
  #stopped: Error | undefined;
  #map: ShardMap;
  /** One for each of the map's open shards, in its order. */
  #lanes: readonly Lane[];
  #nextPosition = 0;
  #reshards = 0;
  /** Undefined: none is to be noted. */
  #noted: Set<Shard> | undefined;
  /** What the lanes of closed shards had done. */
  readonly #closedLanes: LaneStats[] = [];
  readonly #putSeconds: Histogram;
  readonly #closing = new AbortController();
  readonly #memory: WriterMemory;
  readonly #limits: PutLimits;
  readonly #queueContext: QueueContext;
  readonly #laneContext: LaneContext;
  readonly #asked: Asked;
  readonly #slowKeys: SlowKeys;
  readonly #follower: ShardFollower;
  readonly #watch: StreamWatch;

  constructor(private readonly options: StreamWriterOptions) {
    const { api, stream, clock, random, lingerMs } = options;
    const { createdAt } = stream.summary;
    const closing = this.#closing.signal;
    this.failure = new Promise((resolve) => this.#resolveFailure = resolve);
    const memory = this.#memory = options.memory ?? new WriterMemory();
    this.#putSeconds = options.putSeconds ?? new Histogram(PUT_SECONDS_BOUNDS);
    const { maxRecordBytes } = stream.summary;
    this.#limits = {
      /** Changes with the number of all lanes. */
      get bytes() {
        return Math.min(memory.putBytes, maxRecordBytes);
      },
      records: MAX_PUT_RECORDS,
    };
    memory.addLanes(stream.shards.open.length);
    const { pool, pending } = memory;
    const counts = { misplaced: 0 };
    this.#queueContext = { api, streamName: stream.name, pool, pending, counts };
    this.#asked = {
      verb: "put into",
      stream: stream.name,
      region: api.region,
      action: options.aggregation === "kpl" ? "kinesis:PutRecord" : "kinesis:PutRecords",
      whileRunning: true,
    };
    this.#watch = new StreamWatch(api, stream.name, createdAt, clock, closing, options.turn);
    this.#laneContext = {
      owner: {
        stored: () => memory.endWaits(),
        failed: () => this.#watch.nudge(),
        moved: (lane) => this.#onMoved(lane),
        look: (signal) => this.#follower.glance(signal),
        refused: (lane, failure, error) => this.#onRefused(lane, failure, error),
        broken: (error) => this.#fail(error),
      },
      clock,
      limits: this.#limits,
      lingerMs,
      asked: this.#asked,
      closing,
      mayPut: options.mayPut ?? (() => true),
      putSeconds: this.#putSeconds,
    };
    this.#slowKeys = new SlowKeys(stream.name, clock);
    this.#map = stream.shards;
    this.#lanes = stream.shards.open.map((shard) => this.#newLane(shard));
    this.#follower = new ShardFollower(
      {
        lanes: () => this.#lanes,
        switchTo: (map, closed) => this.#switchTo(map, closed),
        broken: (error) => this.#fail(error),
      },
      {
        api,
        streamName: stream.name,
        clock,
        random,
        trouble: new RequestTrouble(clock, log),
        closing,
      },
    );
    this.#watch.run().then((error) => error && this.#fail(error), (error) => this.#fail(error));
  }

  /** Of all streams that share the memory. */
  get pendingBytes(): number {
    return this.#memory.pending.bytes;
  }

  /** Bytes that one record of the stream may have, its partition key included. */
  get maxRecordBytes(): number {
    return this.options.stream.summary.maxRecordBytes;
  }

  add(
    partitionKey: string,
    data: string | Uint8Array,
    ticket: Ticket,
    route?: "every shard" | "noted shards",
  ): number {
    const key = fitPartitionKey(partitionKey);
    const { maxRecordBytes } = this.options.stream.summary;
    // Measuring a text takes time; nearly all are short enough however they are encoded.
    if ((key.length + data.length) * 3 + MAX_LONE_FRAMING_BYTES > maxRecordBytes) {
      const bytes = this.options.aggregation === "kpl"
        ? loneRecordBytes(key, data, route !== undefined)
        : plainRecordBytes(key, data);
      if (bytes > maxRecordBytes) return bytes;
    }
    const position = this.#nextPosition++;
    const lanes = route === "noted shards" ? this.#notedLanes() : this.#lanes;
    // Also when nothing is put any more: what is expected and never stored is never confirmed.
    ticket.expect(route === undefined ? 1 : lanes.length);
    if (this.#stopped !== undefined) return 0;
    if (route !== undefined) {
      for (const lane of lanes) {
        this.#noted?.add(lane.shard);
        lane.queue.add(key, data, true, ticket, position);
      }
    } else {
      const place = lanes.length === 1 ? 0 : this.#map.indexOf(hashPartitionKey(key));
      const lane = lanes[place]!;
      this.#noted?.add(lane.shard);
      lane.queue.add(key, data, false, ticket, position);
    }
    return 0;
  }

  noteShards(): void {
    if (this.#noted === undefined) this.#noted = new Set();
    else this.#noted.clear();
  }

  get notedShards(): number {
    return this.#notedLanes().length;
  }

  /** Where a noted shard was closed since, the lanes of those that follow it. */
  #notedLanes(): readonly Lane[] {
    const noted = [...this.#noted ?? []];
    return this.#lanes.filter(({ shard }) => noted.some((each) => overlap(each, shard)));
  }

  flush(): Promise<void> {
    // Without room no more comes that a linger could wait for.
    this.send(!this.#memory.hasRoom);
    return this.#memory.wait(() => this.#memory.hasRoom);
  }

  drain(signal?: AbortSignal): Promise<void> {
    this.send(true);
    return this.#memory.wait(() => this.#memory.pending.records === 0, signal);
  }

  /** Idle lanes send what they hold; `now`: without a linger. */
  send(now: boolean): void {
    for (const lane of this.#lanes) lane.send(now);
  }

  close(): void {
    this.#stop(new Error("the Kinesis writer is closed"));
  }

  stats(): StreamStats {
    const all = [...this.#closedLanes, ...this.#lanes.map((lane) => lane.stats)];
    const sum = (value: (stats: LaneStats) => number) =>
      all.reduce((total, stats) => total + value(stats), 0);
    const failures = (reason: FailureReason) => sum((stats) => stats.failures[reason]);
    const { name } = this.options.stream;
    return {
      stream: name,
      userRecords: this.#nextPosition,
      region: this.options.api.region,
      puts: sum((stats) => stats.puts),
      records: sum((stats) => stats.records),
      bytes: sum((stats) => stats.bytes),
      failing: this.#failing(),
      failures: {
        throttled: failures("throttled"),
        service: failures("service"),
        network: failures("network"),
        credentials: failures("credentials"),
        refused: failures("refused"),
      },
      resent: sum((stats) => stats.resent) + this.#queueContext.counts.misplaced,
      reshards: this.#reshards,
      pendingBytes: this.#lanes.reduce((total, { queue }) => total + queue.bytes, 0),
      shards: this.#lanes.map(({ shard, queue, stats }) => ({
        stream: name,
        shardId: shard.id,
        pendingBytes: queue.bytes,
        puts: stats.puts,
        bytes: stats.bytes,
        throttled: stats.failures.throttled,
      })),
    };
  }

  #failing(): Failing | undefined {
    const failing = this.#lanes.map(({ trouble }) => trouble.now).filter((now) =>
      now !== undefined
    );
    if (failing.length === 0) return undefined;
    const first = failing.reduce((a, b) => a.sinceMs <= b.sinceMs ? a : b);
    const seconds = (this.options.clock.now() - first.sinceMs) / 1000;
    return { seconds, reason: first.reason, shards: failing.length };
  }

  #newLane(shard: Shard): Lane {
    const { aggregation, stream, clock, random } = this.options;
    const queue = aggregation === "kpl"
      ? new AggregateQueue(this.#queueContext, shard, this.#limits)
      : new RecordQueue(this.#queueContext, shard, this.#slowKeys.watchLane());
    const pacer = new Pacer(stream.summary.mode);
    return new Lane(
      shard,
      queue,
      this.#laneContext,
      pacer,
      new Backoff(random),
      new RequestTrouble(clock, log),
    );
  }

  /** The others may have been merged with it: they put no aggregate more before that is known. */
  #onMoved(moved: Lane): void {
    for (const lane of this.#lanes) if (lane !== moved) lane.doubt();
    this.#follower.follow();
  }

  #switchTo(map: ShardMap, closed: readonly Lane[]): void {
    if (this.#stopped !== undefined) return;
    const staying = new Map(this.#lanes.map((lane) => [lane.shard.id, lane]));
    for (const lane of closed) {
      staying.delete(lane.shard.id);
      this.#closedLanes.push(lane.stats);
    }
    this.#memory.addLanes(map.open.length - this.#lanes.length);
    this.#lanes = map.open.map((shard) => staying.get(shard.id) ?? this.#newLane(shard));
    const lanes = new Map(this.#lanes.map((lane) => [lane.shard.id, lane]));
    this.#map = map;
    regroup(closed, map, (shard) => lanes.get(shard.id)!.queue);
    this.#tellOfSwitch(closed, this.#lanes.filter(({ shard }) => !staying.has(shard.id)));
    for (const lane of this.#lanes) lane.send(true);
    this.#memory.endWaits();
  }

  #tellOfSwitch(closed: readonly Lane[], opened: readonly Lane[]): void {
    const stream = this.options.stream.name;
    const isAgain = (lane: Lane) => opened.some(({ shard }) => shard.id === lane.shard.id);
    for (const { shard, movedTo } of closed.filter(isAgain)) {
      log.warn(
        "shard {movedTo} of stream {stream} took a put that belongs into {shard}, which is open; " +
          "its records are stored again",
        { movedTo, stream, shard: shard.id },
      );
    }
    const gone = closed.filter((lane) => !isAgain(lane));
    if (gone.length === 0) return;
    this.#reshards++;
    const names = (some: Iterable<Lane>) => Array.from(some, ({ shard }) => shard.id).join(", ");
    log.info("stream {stream} was resharded: {closed} closed, records go on to {opened}", {
      stream,
      closed: names(gone),
      opened: names(opened),
    });
  }

  async #onRefused(lane: Lane, failure: KinesisRefusal, error: unknown): Promise<boolean> {
    if (failure.doubt === "credentials") {
      // Keys are replaced at several places, one after the other, and new ones take seconds to be known.
      if (lane.refusals <= MAX_DOUBTS) return true;
    } else if (failure.doubt !== undefined) {
      const wrong = await this.#watch.look();
      if (wrong !== undefined) {
        this.#fail(wrong);
        return false;
      }
      if (failure.doubt === "stream") return true;
      if (lane.refusals <= MAX_DOUBTS) {
        await this.#follower.look(lane);
        if (lane.refusals === MAX_DOUBTS) lane.queue.forgetPredecessor();
        return true;
      }
    }
    this.#fail(refusalError(failure, this.#asked, error));
    return false;
  }

  #fail(cause: unknown): void {
    const error = cause instanceof RunError ? cause : new RunError(
      `the Kinesis writer broke: ${cause}; please report it with the log of --log-level debug`,
      { cause },
    );
    if (this.#stop(error)) this.#resolveFailure(error);
  }

  #stop(reason: Error): boolean {
    if (this.#stopped !== undefined) return false;
    this.#stopped = reason;
    this.#closing.abort();
    for (const lane of this.#lanes) lane.retire();
    this.#memory.stop(reason);
    return true;
  }
}
