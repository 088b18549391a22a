import { parseArgs } from "node:util";
import { type Special, SPECIALS } from "../../tests/campaign/plan.ts";
import { readChoice, readCount } from "../command_line.ts";

export interface CampaignOptions {
  /** Of the first scenario; each one after it has the next. */
  readonly seed: number;
  /** It goes on until it has had so many of each. */
  readonly scenarios: number;
  readonly kills: number;
  readonly faults: number;
  /** No scenario begins after so long, whatever is still missing. */
  readonly minutes: number;
  /** Which of the single proofs to run; undefined for none. */
  readonly proofs: RegExp | undefined;
  /** What every scenario has; undefined: what it draws. */
  readonly special: Special | undefined;
}

const HELP =
  `Tries to make pg2kinesis lose, reorder or confirm too early what it publishes: the real
program, a real PostgreSQL, and a Kinesis of ours that fails in every way it can.

deno task campaign [options]
  --seed N         seed of the first scenario (default: a new one)
  --long           500 kills and 10,000 injected faults at least
  --scenarios N    at least so many scenarios (default 10)
  --kills N        at least so many kills -9 of the program
  --faults N       at least so many injected faults
  --minutes N      begins no scenario after so long
  --proofs REGEX   the single proofs too ("." for all: hot shards, throttled,
                   takeover, streams, many streams, memory)
  --special NAME   every scenario has a failover ("failover"), or much written
                   while a lane is stuck ("bulk")

--seed N --scenarios 1 repeats a scenario. PG2KINESIS_BIN names an executable to try instead of
main.ts. Exit code 1 when anything was found.`;

/** Reads the command line; undefined when it asked for help. */
export function readOptions(args: readonly string[]): CampaignOptions | undefined {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seed: { type: "string" },
      long: { type: "boolean", default: false },
      scenarios: { type: "string", default: "10" },
      kills: { type: "string" },
      faults: { type: "string" },
      minutes: { type: "string" },
      proofs: { type: "string" },
      special: { type: "string" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    console.log(HELP);
    return undefined;
  }
  return {
    seed: values.seed === undefined ? Date.now() % 1_000_000 : readCount("seed", values.seed),
    scenarios: readCount("scenarios", values.scenarios),
    kills: readCount("kills", values.kills ?? (values.long ? "500" : "0")),
    faults: readCount("faults", values.faults ?? (values.long ? "10000" : "0")),
    minutes: values.minutes === undefined ? Infinity : readCount("minutes", values.minutes),
    proofs: values.proofs === undefined ? undefined : new RegExp(values.proofs),
    special: values.special === undefined
      ? undefined
      : readChoice("special", values.special, SPECIALS),
  };
}
