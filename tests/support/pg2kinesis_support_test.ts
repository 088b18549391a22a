import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { Pg2kinesis } from "./pg2kinesis.ts";

Deno.test("Pg2kinesis runs the real program and gives its output and exit code", async () => {
  const { code, stdout } = await Pg2kinesis.run(["--version"]);
  assertEquals(code, 0);
  assertMatch(stdout, /^pg2kinesis \d+\.\d+\.\d+/);
});

Deno.test("Pg2kinesis.waitForLog fails at once when the program ends", async () => {
  await using program = await Pg2kinesis.start(["--no-such-flag"]);
  await program.waitForLog(/no-such-flag/);
  await assertRejects(() => program.waitForLog(/never/), Error, "ended with exit code 2");
});
