import type { Ticket } from "../../base/record_writer.ts";

const FIRST_CAPACITY = 32;

/**
 * Whose user records a request carries, and their positions, in order. Neighbours of one transaction
 * that follow each other without a gap share an entry, so that with one shard this stays tiny. With
 * many, nearly every record has one: arrays that are used again do not grow old by the thousand, which
 * would keep the garbage collector busy.
 */
export class RecordRuns {
  #length = 0;
  readonly #tickets: (Ticket | undefined)[] = [];
  /** Positions count all records of a run, which may pass 2^32. */
  #firstPositions = new Float64Array(FIRST_CAPACITY);
  #counts = new Uint32Array(FIRST_CAPACITY);
  #lastTicket: Ticket | undefined;
  #nextPosition = -1;

  add(ticket: Ticket, position: number): void {
    if (ticket === this.#lastTicket && position === this.#nextPosition) {
      this.#counts[this.#length - 1]!++;
    } else {
      if (this.#length === this.#counts.length) this.#grow();
      this.#tickets[this.#length] = ticket;
      this.#firstPositions[this.#length] = position;
      this.#counts[this.#length] = 1;
      this.#length++;
      this.#lastTicket = ticket;
    }
    this.#nextPosition = position + 1;
  }

  /** Tells each ticket how many of its records are stored. */
  acknowledge(): void {
    let count = 0;
    for (let i = 0; i < this.#length; i++) {
      count += this.#counts[i]!;
      if (i + 1 === this.#length || this.#tickets[i] !== this.#tickets[i + 1]) {
        this.#tickets[i]!.acknowledge(count);
        count = 0;
      }
    }
  }

  /** Ticket and position of each record. */
  *places(): Generator<{ ticket: Ticket; position: number }, undefined> {
    for (let i = 0; i < this.#length; i++) {
      for (let n = 0; n < this.#counts[i]!; n++) {
        yield { ticket: this.#tickets[i]!, position: this.#firstPositions[i]! + n };
      }
    }
  }

  /** Forgets all records, but keeps the room for as many. */
  clear(): void {
    this.#tickets.fill(undefined, 0, this.#length);
    this.#length = 0;
    this.#lastTicket = undefined;
    this.#nextPosition = -1;
  }

  #grow(): void {
    const firstPositions = new Float64Array(this.#length * 2);
    firstPositions.set(this.#firstPositions);
    this.#firstPositions = firstPositions;
    const counts = new Uint32Array(this.#length * 2);
    counts.set(this.#counts);
    this.#counts = counts;
  }
}
