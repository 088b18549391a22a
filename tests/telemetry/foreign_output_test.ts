import { assert, assertEquals } from "@std/assert";

/** Everything by which a library or a formatter may speak up without our log. */
const SCRIPT = `
  import { EventEmitter } from "node:events";
  import process from "node:process";
  import { configureLog } from ${JSON.stringify(import.meta.resolve("../../src/telemetry/log.ts"))};
  import { lastWords } from ${JSON.stringify(import.meta.resolve("../../src/telemetry/stderr.ts"))};
  process.noDeprecation = true;
  {
    using _ = configureLog({ format: "json", level: "info" });
    console.log("%s said", "log"); console.info("info said"); console.debug("not shown");
    console.warn("warn said"); console.error("error said");
    console.table([{ a: "table said" }]); console.dir("dir said"); console.dirxml("dirxml said");
    console.trace("trace said"); console.assert(false, "assert said");
    console.count("count said"); console.timeLog("not there said");
    console.time("time said"); console.timeEnd("time said");
    console.group("group said"); console.groupEnd();
    process.emitWarning("warning said");
    process.emitWarning("deprecated", "DeprecationWarning");
    const emitter = new EventEmitter();
    for (let n = 0; n < 11; n++) emitter.on("x", () => {});
    await new Promise((resolve) => setTimeout(resolve));
  }
  await lastWords();
  console.log("after");
`;

Deno.test("what libraries say to the console and as warnings of Node is lines of the log, nothing beside it", async () => {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["eval", "--quiet", SCRIPT],
    cwd: new URL("../..", import.meta.url),
  });
  const { stdout, stderr } = await child.output();
  assertEquals(new TextDecoder().decode(stdout), "after\n");
  const lines = new TextDecoder().decode(stderr).trimEnd().split("\n").map((line) => {
    assert(line.startsWith("{"), line);
    return JSON.parse(line);
  });
  const said = lines.map(({ message }) => message).join("\n");
  for (
    const word of [
      ...["log", "info", "warn", "error", "table", "dir", "dirxml", "trace", "assert", "count"],
      ...["not there", "time", "group", "warning"],
    ]
  ) assert(said.includes(`${word} said`), `${word}: ${said}`);
  assert(said.includes("MaxListenersExceededWarning"), said);
  assert(!said.includes("not shown") && !said.includes("deprecated"), said);
});
