import type { Ticket } from "../../src/base/record_writer.ts";

/** A ticket that only counts. */
export class CountingTicket implements Ticket {
  expected = 0;
  acknowledged = 0;

  expect(records: number): void {
    this.expected += records;
  }

  acknowledge(records: number): void {
    this.acknowledged += records;
  }
}
