import { getLogger } from "@logtape/logtape";
import type { Clock } from "../../base/clock.ts";

/** How long a key must hold back its lane before it is reported: a burst is over sooner. */
const WORTH_TELLING_MS = 10_000;
const WORTH_TELLING_PUTS = 50;

const log = getLogger(["pg2kinesis", "kinesis"]);

/**
 * Notices that the records of one partition key go one by one, a round trip each, and hold up all that
 * is read behind them. Warns once.
 */
export class SlowKeys {
  #wasTold = false;

  constructor(private readonly streamName: string, private readonly clock: Clock) {}

  /**
   * What a lane is to call when a request is answered: with a partition key when the oldest record was
   * stored, by a request that had room for more, and the oldest one now has the same key.
   */
  watchLane(): (partitionKey: string | undefined) => void {
    let key: string | undefined;
    let sinceMs = 0;
    let puts = 0;
    return (next) => {
      if (this.#wasTold) return;
      const nowMs = this.clock.now();
      if (next === undefined || next !== key) {
        key = next;
        sinceMs = nowMs;
        puts = 0;
        return;
      }
      puts++;
      const ms = nowMs - sinceMs;
      if (ms >= WORTH_TELLING_MS && puts >= WORTH_TELLING_PUTS) this.#tell(next, puts * 1000 / ms);
    };
  }

  #tell(partitionKey: string, perSecond: number): void {
    this.#wasTold = true;
    log.warn(
      "the changes of partition key {key} are put into stream {stream} one at a time, {rate} a " +
        "second, and hold up what is read after them: without aggregation a request may have only one " +
        "record per key, since Kinesis keeps no order within a request; use --aggregation kpl, or a " +
        "--partition-key with more values",
      { key: withoutValues(partitionKey), stream: this.streamName, rate: Math.round(perSecond) },
    );
  }
}

/** `schema.table:key` without the key, which is a row's data. */
function withoutValues(partitionKey: string): string {
  const end = partitionKey.indexOf(":");
  return end < 0 ? partitionKey : `${partitionKey.slice(0, end)}:…`;
}
