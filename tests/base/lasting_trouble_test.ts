import { assertEquals } from "@std/assert";
import type { Logger } from "@logtape/logtape";
import { Trouble } from "../../src/base/lasting_trouble.ts";

/** What it logs, with an exclamation mark before warnings. */
function troubleTold(told: string[]): Trouble {
  const rendering = (mark: string) => (template: string, values: Record<string, unknown>) =>
    void told.push(mark + template.replace(/\{(\w+)\}/g, (_, name) => String(values[name])));
  return new Trouble(
    { warn: rendering("! "), info: rendering("") } as Pick<Logger, "warn" | "info">,
  );
}

Deno.test("Trouble tells the first failure, then every ten seconds, then the end", () => {
  const told: string[] = [];
  const trouble = troubleTold(told);
  for (let nowMs = 0; nowMs <= 25_000; nowMs += 500) trouble.failed(nowMs, "putting", "E: no");
  trouble.over(26_000, "putting");
  trouble.over(27_000, "putting");
  assertEquals(told, [
    "! putting failed and is tried again (E: no)",
    "! putting failed and is tried again (E: no, 21 tries in 10.0 s)",
    "! putting failed and is tried again (E: no, 41 tries in 20.0 s)",
    "putting works again after 26.0 s, 51 failures",
  ]);
});

Deno.test("Trouble that comes and goes is told no more often", () => {
  const told: string[] = [];
  const trouble = troubleTold(told);
  for (let nowMs = 0; nowMs < 30_000; nowMs += 1_000) {
    trouble.failed(nowMs, "putting", "E: no");
    trouble.over(nowMs + 100, "putting");
  }
  assertEquals(told, Array(3).fill("! putting failed and is tried again (E: no)"));
});
