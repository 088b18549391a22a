import { assert, assertEquals, assertMatch } from "@std/assert";
import type { PostgresError } from "../../../src/postgres/connection/postgres_error.ts";
import { TimelineGate } from "../../../src/postgres/session/timeline_gate.ts";

/** A gate on timeline 1, with the questions that wait for an answer. */
function gateOf() {
  const questions: PromiseWithResolvers<number>[] = [];
  const passed: bigint[] = [];
  const ends: PostgresError[] = [];
  let released = 0;
  const gate = new TimelineGate({
    timeline: 1,
    ask: () => {
      questions.push(Promise.withResolvers());
      return questions.at(-1)!.promise;
    },
    pass: ({ messages }) =>
      passed.push(...messages.map((message) => message.kind === "keepalive" ? message.walEnd : 0n)),
    end: (error) => ends.push(error),
    release: () => released++,
    place: "db:5432",
  });
  const push = (walEnd: bigint) =>
    gate.push({
      messages: [{ kind: "keepalive", walEnd, replyRequested: false }],
      bytes: 10,
      dropped: 3,
    });
  const answer = async (timeline: number) => {
    questions.shift()!.resolve(timeline);
    await new Promise((resolve) => setTimeout(resolve));
  };
  return { gate, questions, passed, ends, push, answer, released: () => released };
}

Deno.test("TimelineGate passes what came before a question that was answered with its timeline", async () => {
  const { gate, questions, passed, push, answer } = gateOf();
  push(1n);
  push(2n);
  push(3n);
  assertEquals([passed, questions.length, gate.bytes], [[], 1, 21]);
  // Asked before the other two came: of these it says nothing.
  await answer(1);
  assertEquals([passed, questions.length, gate.bytes], [[1n], 1, 14]);
  await answer(1);
  assertEquals([passed, questions.length, gate.bytes], [[1n, 2n, 3n], 0, 0]);
  push(4n);
  await answer(1);
  assertEquals(passed, [1n, 2n, 3n, 4n]);
});

Deno.test("TimelineGate ends the session on another timeline, and passes nothing more", async () => {
  const { gate, passed, ends, push, answer, released } = gateOf();
  push(1n);
  push(2n);
  await answer(1);
  assertEquals(released(), 0);
  await answer(2);
  push(3n);
  assertEquals([passed, gate.bytes, released()], [[1n], 0, 1]);
  assertEquals(ends.length, 1);
  assertMatch(ends[0]!.message, /^db:5432 went from timeline 1 to 2 under the open session$/);
  assert(ends[0]!.transient);
});

Deno.test("TimelineGate ends the session that it cannot ask about, unless that is over", async () => {
  const { questions, passed, ends, push } = gateOf();
  push(1n);
  questions.shift()!.reject(new Error("the connection was closed"));
  await new Promise((resolve) => setTimeout(resolve));
  assertMatch(ends[0]!.message, /cannot follow db:5432: the connection was closed/);
  assertEquals(passed, []);

  const over = gateOf();
  over.push(1n);
  over.gate.close();
  await over.answer(1);
  assertEquals([over.passed, over.ends], [[], []]);
});
