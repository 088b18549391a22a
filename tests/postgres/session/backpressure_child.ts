/**
 * The child of backpressure_test.ts: follows a slot whose backlog is large, takes one batch and then
 * none until memory would have grown, then all. Prints what it saw as JSON.
 */
import { systemClock } from "../../../src/base/clock.ts";
import { openSource } from "../../../src/postgres/session/source.ts";
import { sleep } from "../../support/wait.ts";

const [options, slot, rows] = Deno.args.map((argument) => JSON.parse(argument));

/** The greatest resident size that the process ever had, in MB. */
function peakMegabytes(): number {
  const peak = /VmHWM:\s+(\d+) kB/.exec(Deno.readTextFileSync("/proc/self/status"))![1]!;
  return Number(peak) / 1024;
}

const source = await openSource({
  postgres: options,
  slot,
  startLsn: 0n,
  flushLsn: () => 0n,
  clock: systemClock,
  random: Math.random,
  signal: new AbortController().signal,
});
const batches = source[Symbol.asyncIterator]();
await batches.next();
const before = peakMegabytes();

// Reading stops when the buffer is full, and would go on for all of the backlog otherwise.
while (source.stats.isReading) await sleep(10);
for (let waited = 0; waited < 3000; waited += 100) await sleep(100);
const waiting = { peak: peakMegabytes() - before, bytes: source.stats.receivedBytes };

let seen = 0;
while (seen < rows) {
  const { value } = await batches.next();
  for (const message of value) {
    if (message.kind === "xlogdata" && message.data[0] === "t".charCodeAt(0)) seen++;
  }
  // A writer that now and then is slow.
  if (seen % 1000 < 10) await sleep(5);
}
console.log(JSON.stringify({ waiting, drained: peakMegabytes() - before, seen }));
await source.close();
Deno.exit(0);
