import { assertEquals } from "@std/assert";
import { RecordRuns } from "../../../src/kinesis/aggregate/record_runs.ts";
import { CountingTicket } from "../../support/counting_ticket.ts";

/** Neighbours, gaps, tickets in turns, and more runs than it has room for at first. */
function fill(runs: RecordRuns, tickets: readonly CountingTicket[], records: number) {
  const places = Array.from({ length: records }, (_, i) => ({
    ticket: tickets[Math.floor(i / 3) % tickets.length]!,
    position: 2 ** 33 + i + Math.floor(i / 5),
  }));
  for (const { ticket, position } of places) runs.add(ticket, position);
  return places;
}

Deno.test("RecordRuns gives ticket and position of each record, and again after it was cleared", () => {
  const runs = new RecordRuns();
  const tickets = Array.from({ length: 4 }, () => new CountingTicket());
  for (const records of [1, 500, 40]) {
    const places = fill(runs, tickets, records);
    assertEquals([...runs.places()], places);
    const before = tickets.map(({ acknowledged }) => acknowledged);
    runs.acknowledge();
    assertEquals(
      tickets.map(({ acknowledged }, i) => acknowledged - before[i]!),
      tickets.map((ticket) => places.filter((place) => place.ticket === ticket).length),
    );
    runs.clear();
    assertEquals([...runs.places()], []);
  }
});
