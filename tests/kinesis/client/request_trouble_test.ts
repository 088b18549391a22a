import { assertEquals } from "@std/assert";
import type { Logger } from "@logtape/logtape";
import { RequestTrouble } from "../../../src/kinesis/client/request_trouble.ts";

/** What it logs, with an exclamation mark before warnings, and a clock to set. */
function troubleAt(said: string[]): { time: { nowMs: number }; trouble: RequestTrouble } {
  const rendering = (mark: string) => (template: string, values: Record<string, unknown>) =>
    void said.push(mark + template.replace(/\{(\w+)\}/g, (_, name) => String(values[name])));
  const time = { nowMs: 0 };
  const log = { warn: rendering("! "), info: rendering("") } as Pick<Logger, "warn" | "info">;
  const now = () => time.nowMs;
  return { time, trouble: new RequestTrouble({ now, wall: now }, log) };
}

Deno.test("RequestTrouble says the first failure, then every ten seconds, then the end", () => {
  const said: string[] = [];
  const { time, trouble } = troubleAt(said);
  for (; time.nowMs <= 25_000; time.nowMs += 500) trouble.failed("putting", "E: no");
  time.nowMs = 26_000;
  trouble.over("putting");
  time.nowMs = 27_000;
  trouble.over("putting");
  assertEquals(said, [
    "! putting failed and is tried again (E: no)",
    "! putting failed and is tried again (E: no, 21 tries in 10.0 s)",
    "! putting failed and is tried again (E: no, 41 tries in 20.0 s)",
    "putting works again after 26.0 s, 51 failures",
  ]);
});

Deno.test("RequestTrouble that comes and goes is said no more often", () => {
  const said: string[] = [];
  const { time, trouble } = troubleAt(said);
  for (let nowMs = 0; nowMs < 30_000; nowMs += 1_000) {
    time.nowMs = nowMs;
    trouble.failed("putting", "E: no");
    time.nowMs = nowMs + 100;
    trouble.over("putting");
  }
  assertEquals(said, Array(3).fill("! putting failed and is tried again (E: no)"));
});
