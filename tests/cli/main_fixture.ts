/** The program with a run that ends as the variable `ENDING` says. */
import { getLogger } from "@logtape/logtape";
import { main } from "../../src/cli/main.ts";
import { RunError, UsageError } from "../../src/base/errors.ts";

const secret = "hunter2";
const logger = getLogger(["pg2kinesis", "fixture"]);
/** As a run that is busy; a test whose program does not end by itself fails by this code. */
const forEver = () => new Promise<void>(() => setTimeout(() => Deno.exit(99), 30_000));

const endings: Record<string, () => Promise<void>> = {
  well: () => Promise.resolve(logger.info("done")),
  runError: () =>
    Promise.reject(
      new RunError(`cannot connect with ${secret}`, { cause: new Error("the cause") }),
    ),
  usageError: () => Promise.reject(new UsageError("no table matches --table-pat")),
  twoLines: () => Promise.reject(new RunError("first\nsecond\r\n\u2028third")),
  braces: () => Promise.reject(new RunError("no {table} {{here}} {error}")),
  bug: () => Promise.reject(new TypeError(`x is undefined, ${secret}`)),
  string: () => Promise.reject("just text"),
  stray: () => (void Promise.reject(new TypeError("nobody waits")), forEver()),
  strayRunError: () => (void Promise.reject(new RunError("the lane died")), forEver()),
  thrown: () => (setTimeout(() => {
    throw new Error("from a timer");
  }),
    forEver()),
  lines: () => {
    for (let i = 0; i < 20_000; i++) logger.info("line {i}", { i });
    return Promise.reject(new RunError("the last line"));
  },
};

Deno.exit(
  await main(
    Deno.args,
    Deno.env.toObject(),
    () => Promise.resolve({ run: () => endings[Deno.env.get("ENDING")!]!() }),
  ),
);
