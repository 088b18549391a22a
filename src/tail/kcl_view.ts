import { createHash } from "node:crypto";
import type { Shard } from "../kinesis/shard_map.ts";
import { RecentNames } from "./recent_names.ts";
import { liesIn, type TailedRecord } from "./user_record.ts";

/** A record that was seen is remembered until so many others were. */
const REMEMBERED = 100_000;

/**
 * What a consumer built on the Kinesis Client Library sees: it drops a whole aggregate when one of its
 * user records hashes outside of the shard that holds it. While a stream is resharded a run may store
 * such an aggregate; it is not acknowledged then, and all its user records are stored again, byte by
 * byte. So what counts is what is not to be found elsewhere.
 */
export class KclView {
  /** User records that were only in aggregates that are dropped, by their digest. */
  readonly #awaited = new Map<string, TailedRecord>();
  readonly #seen = new RecentNames<string>(REMEMBERED);

  /** Takes the user records of one Kinesis record; false: such a consumer drops them. */
  sees(records: readonly TailedRecord[], shard: Shard): boolean {
    // Where a plain record belongs was settled by Kinesis, which does not tell its explicit hash key.
    const isDropped = records.some((record) =>
      record.subSequence !== undefined && !liesIn(shard, record)
    );
    for (const record of records) {
      const digest = digestOf(record);
      if (!isDropped) {
        this.#seen.add(digest);
        this.#awaited.delete(digest);
      } else if (!this.#seen.has(digest)) this.#awaited.set(digest, record);
    }
    return !isDropped;
  }

  /** User records that it never sees, as far as was read. */
  get unseen(): Iterable<TailedRecord> {
    return this.#awaited.values();
  }
}

function digestOf({ partitionKey, data }: TailedRecord): string {
  return createHash("md5").update(`${partitionKey}\0`).update(data).digest("base64");
}
