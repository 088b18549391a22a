import type { QueuedRecord } from "../aggregate/queued_record.ts";
import type { Shard } from "../stream/shard_map.ts";
import type { Ticket } from "../../base/record_writer.ts";

/** What was taken and is not acknowledged, of all lanes of all streams: bytes and user records. */
export class Pending {
  bytes = 0;
  records = 0;
}

export interface PutAmount {
  /** As the shard's limits count them, partition keys included. */
  readonly bytes: number;
  /** Kinesis records, not user records. */
  readonly records: number;
}

/** One request on its way. Sending it again sends the same until it is stored, or `next` is asked again. */
export interface PutRequest extends PutAmount {
  readonly userRecords: number;
}

/** How far a request came. What was stored in the lane's shard is acknowledged already. */
export interface PutResult {
  /** A shard other than the lane's that now holds some of it. */
  readonly movedTo: string | undefined;
  /** What the service did not take, to be sent again. */
  readonly refused: RefusedPart | undefined;
}

export interface RefusedPart extends PutAmount {
  /** The first of them, as the service put it. */
  readonly code: string;
  readonly message: string;
}

/** What a request may hold now. */
export type PutLimits = PutAmount;

/**
 * The records of one shard in the order of their positions, and the one way to put them there: as
 * aggregates or as they are.
 */
export interface LaneQueue {
  readonly isEmpty: boolean;
  /** True when waiting longer would not make the next request any larger. */
  readonly isFull: boolean;
  readonly bytes: number;
  /** True when what is first in line is an aggregate, which is right only in a shard of all its keys. */
  readonly isAggregated: boolean;
  /** Never refuses. `everyShard`: the record stands for all keys of the shard. */
  add(
    partitionKey: string,
    data: string | Uint8Array,
    everyShard: boolean,
    ticket: Ticket,
    position: number,
  ): void;
  /** What is first in line; the queue must not be empty. */
  next(limits: PutLimits): PutRequest;
  /** Puts what `next` gave; resolves when that was answered. `maySend` is asked as it is sent. */
  send(signal: AbortSignal, maySend: () => boolean): Promise<void>;
  /** The next request no longer names the record that it must follow; that one is stored. */
  forgetPredecessor(): void;
  /** Acknowledges what the answer says is stored. */
  settle(): PutResult;
  /**
   * Ends the queue: what is not acknowledged, by position. `storedIn` is the shard that answered
   * instead of the lane's own, if one did: what it holds rightly is acknowledged, not given.
   */
  takeApart(storedIn: Shard | undefined): Iterable<QueuedRecord>;
}
