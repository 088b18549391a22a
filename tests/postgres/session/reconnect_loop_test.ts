import { assertEquals } from "@std/assert";
import { PostgresError } from "../../../src/postgres/connection/postgres_error.ts";
import { reconnect } from "../../../src/postgres/session/reconnect.ts";
import { VirtualClock } from "../../support/virtual_clock.ts";

const error = (message: string, code: string | undefined, transient: boolean) =>
  new PostgresError(message, { transient, ...code === undefined ? {} : { code } });

const STOPS = error("the server stops", "57P01", true);
const CUT = error("the network was cut", "ECONNRESET", true);
const OTHER_AUTHORITY = error("not made by an authority", "UNABLE_TO_VERIFY_LEAF_SIGNATURE", false);
const NO_SUCH_ROLE = error("the role does not exist", "28000", false);

/** How a reconnect ends while tries fail as `failureAt` says; undefined: that one connects. */
async function ending(
  loss: PostgresError,
  failureAt: (ms: number) => PostgresError | undefined,
): Promise<{ end: unknown; seconds: number; reasons: Set<string> }> {
  const clock = new VirtualClock();
  const reasons = new Set<string>();
  const reconnecting = reconnect(loss, {
    clock,
    random: () => 0.5,
    signal: new AbortController().signal,
    connect: () => {
      const failure = failureAt(clock.now());
      return failure === undefined ? Promise.resolve(0x10n) : Promise.reject(failure);
    },
    lost: (why) => reasons.add(why),
  }).then(() => "connected", (error) => error);
  const end = await clock.run(reconnecting, 600_000);
  return { end, seconds: clock.now() / 1000, reasons };
}

Deno.test("a server that stops may answer with its old certificate: that ends no run", async () => {
  const { end, reasons } = await ending(
    STOPS,
    (ms) => ms < 1_000 ? OTHER_AUTHORITY : ms < 60_000 ? CUT : undefined,
  );
  assertEquals(end, "connected");
  assertEquals([...reasons], [STOPS, OTHER_AUTHORITY, CUT].map(({ message }) => message));
});

Deno.test("a certificate of another authority ends a run where no server stops, and half a minute after one did", async () => {
  assertEquals((await ending(CUT, () => OTHER_AUTHORITY)).end, OTHER_AUTHORITY);
  const { end, seconds } = await ending(STOPS, () => OTHER_AUTHORITY);
  assertEquals([end, seconds >= 30 && seconds < 40], [OTHER_AUTHORITY, true], `${seconds} s`);
});

Deno.test("what the database refuses ends a run, also while it stops", async () => {
  const { end, seconds } = await ending(STOPS, () => NO_SUCH_ROLE);
  assertEquals([end, seconds < 1], [NO_SUCH_ROLE, true]);
});

Deno.test("a loss that heals is tried again for as long as it takes", async () => {
  const { end } = await ending(CUT, (ms) => ms < 500_000 ? CUT : undefined);
  assertEquals(end, "connected");
});
