import { assertEquals, assertRejects } from "@std/assert";
import { keepTrying } from "../../src/base/keep_trying.ts";

/** A clock that notes for how long it is asked to sleep. */
function notingClock() {
  const slept: number[] = [];
  const sleep = (ms: number) => {
    slept.push(ms);
    return Promise.resolve();
  };
  return { slept, clock: { now: () => 0, wall: () => 0, sleep } };
}

Deno.test("keepTrying tries until it works, with a pause after each failure", async () => {
  const { slept, clock } = notingClock();
  const errors: unknown[] = [];
  let tries = 0;
  const answer = await keepTrying(
    () => ++tries < 4 ? Promise.reject(`no ${tries}`) : Promise.resolve("yes"),
    {
      clock,
      signal: new AbortController().signal,
      pauseMs: () => tries * 10,
      failed: (error) => errors.push(error),
    },
  );
  assertEquals([answer, errors, slept], ["yes", ["no 1", "no 2", "no 3"], [10, 20, 30]]);
});

Deno.test("keepTrying ends with what failed throws", async () => {
  const { slept, clock } = notingClock();
  const failed = (cause: unknown) => {
    throw new Error("for good", { cause });
  };
  const trying = keepTrying(() => Promise.reject("no"), {
    clock,
    signal: new AbortController().signal,
    pauseMs: () => 1,
    failed,
  });
  assertEquals((await assertRejects(() => trying, Error, "for good")).cause, "no");
  assertEquals(slept, []);
});

Deno.test("keepTrying ends with the signal's reason, before a try, in one and in a pause", async () => {
  for (const when of ["before", "try", "pause"]) {
    const ending = new AbortController();
    const end = () => ending.abort(new Error("enough"));
    if (when === "before") end();
    let failures = 0;
    const trying = keepTrying(() => {
      if (when === "try") end();
      return Promise.reject("no");
    }, {
      clock: { now: () => 0, wall: () => 0, sleep: () => Promise.resolve(end()) },
      signal: ending.signal,
      pauseMs: () => 1,
      failed: () => failures++,
    });
    await assertRejects(() => trying, Error, "enough");
    assertEquals(failures, when === "pause" ? 1 : 0, when);
  }
});
