import { assertEquals } from "@std/assert";
import { LastingTrouble, type SayingRate } from "../../src/base/lasting_trouble.ts";

/** A trouble, and a clock to set; the wall clock stands an hour ahead. */
function troubleWith(rate: SayingRate) {
  const time = { nowMs: 0 };
  const clock = { now: () => time.nowMs, wall: () => time.nowMs + 3_600_000 };
  const trouble = new LastingTrouble(clock, rate);
  /** The seconds at which it is said, when it fails for a reason at each of these. */
  const saidAt = (seconds: Iterable<number>, reasonAt = (_second: number) => "no") => {
    const said: number[] = [];
    for (const second of seconds) {
      time.nowMs = second * 1000;
      if (trouble.failed(reasonAt(second)) !== undefined) said.push(second);
    }
    return said;
  };
  return { time, trouble, saidAt };
}

function* range(from: number, to: number) {
  for (let second = from; second < to; second++) yield second;
}

Deno.test("LastingTrouble is said at once, then as often as its rate says", () => {
  const { saidAt } = troubleWith({ repeatMs: 10_000 });
  assertEquals(saidAt(range(0, 35)), [0, 10, 20, 30]);
});

Deno.test("LastingTrouble says how long it lasts, how often it failed, and since when by the wall clock", () => {
  const { time, trouble, saidAt } = troubleWith({ repeatMs: 10_000 });
  assertEquals(trouble.now, undefined);
  saidAt(range(5, 15));
  assertEquals([trouble.now?.sinceMs, trouble.now?.reason], [5_000, "no"]);
  time.nowMs = 15_000;
  const lasted = { since: "1970-01-01T01:00:05.000Z", lastsMs: 10_000, tries: 11, wasSaid: true };
  assertEquals(trouble.failed("no"), lasted);
  time.nowMs = 16_000;
  assertEquals(trouble.over(), { ...lasted, lastsMs: 11_000 });
  assertEquals([trouble.over(), trouble.now], [undefined, undefined]);
});

Deno.test("LastingTrouble that comes and goes is said no more often than one that stays", () => {
  const { trouble, saidAt } = troubleWith({ repeatMs: 10_000 });
  const said: number[] = [];
  let ends = 0;
  for (const second of range(0, 25)) {
    said.push(...saidAt([second]));
    if (trouble.over() !== undefined) ends++;
  }
  assertEquals(said, [0, 10, 20]);
  assertEquals(ends, 3, "what was not said does not end either");
});

Deno.test("LastingTrouble that comes back waits as long as leastPauseMs says", () => {
  const { trouble, saidAt } = troubleWith({ repeatMs: 600_000, leastPauseMs: 60_000 });
  assertEquals(saidAt(range(0, 30)), [0]);
  trouble.over();
  assertEquals(saidAt(range(30, 700)), [60, 660]);
});

Deno.test("LastingTrouble is not said while it is young", () => {
  const { trouble, saidAt } = troubleWith({ repeatMs: 10_000, quietMs: 2_000 });
  assertEquals(saidAt(range(0, 2)), []);
  assertEquals(trouble.over(), undefined);
  assertEquals(saidAt(range(10, 30)), [12, 22]);
});

Deno.test("LastingTrouble says a new reason at once where that is asked for", () => {
  const reasonAt = (second: number) => second < 3 ? "one" : second < 6 ? "two" : "one";
  const { trouble, saidAt } = troubleWith({ repeatMs: 10_000, saysNewReasons: true });
  assertEquals(saidAt(range(0, 20), reasonAt), [0, 3, 6, 16]);
  trouble.over();
  assertEquals(saidAt([20], reasonAt), [20], "the same reason is new again after the end");
  const patient = troubleWith({ repeatMs: 10_000 });
  assertEquals(patient.saidAt(range(0, 20), reasonAt), [0, 10]);
});
