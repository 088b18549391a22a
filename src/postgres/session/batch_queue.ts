import type { ReplicationMessage } from "../../base/replication_message.ts";

interface Batch {
  readonly messages: ReplicationMessage[];
  /** Read from the socket for them. */
  readonly bytes: number;
}

/** What was read and waits for the pipeline: one side pushes, the other one waits until there is something. */
export class BatchQueue {
  #batches: Batch[] = [];
  #bytes = 0;
  #wake: (() => void) | undefined;

  get bytes(): number {
    return this.#bytes;
  }

  push(messages: ReplicationMessage[], bytes: number): void {
    this.#bytes += bytes;
    this.#batches.push({ messages, bytes });
    this.wake();
  }

  shift(): readonly ReplicationMessage[] | undefined {
    const batch = this.#batches.shift();
    if (batch !== undefined) this.#bytes -= batch.bytes;
    return batch?.messages;
  }

  /** What waits is not to be worked off any more. */
  clear(): void {
    this.#batches = [];
    this.#bytes = 0;
  }

  /** Resolves at the next `push` or `wake`. */
  async wait(): Promise<void> {
    await new Promise<void>((resolve) => this.#wake = resolve);
    this.#wake = undefined;
  }

  /** Lets whoever waits look again. */
  wake(): void {
    this.#wake?.();
  }
}
