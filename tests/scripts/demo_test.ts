import { assertEquals, assertMatch } from "@std/assert";
import { fileURLToPath } from "node:url";
import { denoDir } from "../support/pg2kinesis.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

Deno.test("demo.sh shows the main job, all well, in its last line", async () => {
  const output = await new Deno.Command("sh", {
    args: ["scripts/demo.sh"],
    cwd: ROOT,
    env: { DENO_DIR: denoDir() },
    stdin: "null",
  }).output();
  const text = new TextDecoder().decode(output.stdout);
  const counts =
    /^committed (\d+) changes in \d+ transactions, published (\d+): all \d+ rows in the order of their commits: OK$/
      .exec(text.trimEnd().split("\n").at(-1)!);
  assertEquals([output.code, counts === null ? text : ""], [0, ""]);
  assertEquals(counts?.[1], counts?.[2]);
  // The records are shown as they are read back.
  assertMatch(text, /^ {2}0,CDC,\{"xid":\d+,"change":\{"kind":"insert"/m);
});
