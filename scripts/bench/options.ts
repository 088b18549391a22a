import { parseArgs } from "node:util";
import { readCount } from "../command_line.ts";

export interface BenchOptions {
  /** Searched in the names of groups and contenders. */
  readonly only: RegExp;
  readonly runs: number;
  readonly transactions: number;
  readonly rowsOfOneTransaction: number;
  readonly steadySeconds: number;
  readonly csvPath: string;
  /** Measure other programs that publish to Kinesis instead. */
  readonly peers: boolean;
  /** Checkouts or executables of other versions, measured in turns with this one. */
  readonly against: readonly string[];
  /** Where the program's CPU profiles go; undefined for none. */
  readonly profileDir: string | undefined;
}

const HELP = `Measures pg2kinesis end to end beside pg_recvlogical, on a server of its own.

deno task bench [options]
  --only REGEX     what to measure: groups ("test_decoding", "one transaction", "steady load",
                   "start") and "group: contender" names; pg_recvlogical always takes part
  --runs N         runs of each, in alternating order (default 3)
  --seconds N      how long the steady load lasts (default 30)
  --quick          a tenth of the data, and a short load
  --peers          this program, the original in Python and Debezium Server instead, one after the
                   other; installs them into ~/.cache/pg2kinesis/peers (PyPI, Maven Central)
  --against PATH   another version, a checkout or an executable, to measure in turns with this one;
                   repeatable; ends with a table of ratios
  --csv FILE       where the raw runs go (default docs/bench/DATE.csv)
  --profile DIR    write CPU profiles of the program there (deno --cpu-prof); not for an executable

PG2KINESIS_BIN names an executable to measure instead of main.ts.
Needs Debian's postgresql-15, postgresql-15-wal2json and openssl.`;

/** Reads the command line; undefined when it asked for help. */
export function readOptions(args: readonly string[], today: string): BenchOptions | undefined {
  const { values } = parseArgs({
    args: [...args],
    options: {
      only: { type: "string", default: "" },
      runs: { type: "string", default: "3" },
      quick: { type: "boolean", default: false },
      seconds: { type: "string" },
      csv: { type: "string", default: `docs/bench/${today}.csv` },
      profile: { type: "string" },
      peers: { type: "boolean", default: false },
      against: { type: "string", multiple: true, default: [] },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    console.log(HELP);
    return undefined;
  }
  const runs = readCount("runs", values.runs, 1);
  const { quick } = values;
  const seconds = Number(values.seconds ?? (quick ? 5 : 30));
  if (!(seconds > 0)) throw new Error(`--seconds ${values.seconds} is no duration`);
  return {
    only: new RegExp(values.only),
    runs,
    transactions: quick ? 5_000 : 50_000,
    rowsOfOneTransaction: quick ? 500_000 : 5_000_000,
    steadySeconds: seconds,
    csvPath: values.csv,
    profileDir: values.profile,
    against: values.against,
    peers: values.peers,
  };
}
