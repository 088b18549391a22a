import type { Ticket } from "../../base/record_writer.ts";

/**
 * Whose user records a request carries, and their positions, in order. Neighbours of one transaction
 * that follow each other without a gap share an entry, so that with one shard this stays tiny.
 */
export class RecordRuns {
  readonly #tickets: Ticket[] = [];
  readonly #firstPositions: number[] = [];
  readonly #counts: number[] = [];
  #lastTicket: Ticket | undefined;
  #nextPosition = -1;

  add(ticket: Ticket, position: number): void {
    if (ticket === this.#lastTicket && position === this.#nextPosition) {
      this.#counts[this.#counts.length - 1]!++;
    } else {
      this.#tickets.push(ticket);
      this.#firstPositions.push(position);
      this.#counts.push(1);
      this.#lastTicket = ticket;
    }
    this.#nextPosition = position + 1;
  }

  /** Tells each ticket how many of its records are stored. */
  acknowledge(): void {
    let count = 0;
    for (let i = 0; i < this.#tickets.length; i++) {
      count += this.#counts[i]!;
      if (this.#tickets[i] !== this.#tickets[i + 1]) {
        this.#tickets[i]!.acknowledge(count);
        count = 0;
      }
    }
  }

  /** Ticket and position of each record. */
  *places(): Generator<{ ticket: Ticket; position: number }, undefined> {
    for (let i = 0; i < this.#tickets.length; i++) {
      for (let n = 0; n < this.#counts[i]!; n++) {
        yield { ticket: this.#tickets[i]!, position: this.#firstPositions[i]! + n };
      }
    }
  }
}
