/**
 * Gives Debezium's records and ours of the same WAL to Flink's format `debezium-json`, which knows only the
 * former, and compares the changelogs that it makes of them:
 *
 *     deno run -A scripts/debezium/flink.ts
 *
 * Needs Java 17 and Maven. Of the tables that FlinkReader.java knows; an update is left out where its old row is
 * null, which Flink refuses from Debezium too (it wants REPLICA IDENTITY FULL).
 */
import { Buffer } from "node:buffer";
import { fileURLToPath } from "node:url";
import { formatCaptured } from "../../tests/support/captured_debezium.ts";
import { readRecords } from "../../tests/fixtures/debezium/read.ts";

const HERE = fileURLToPath(new URL(".", import.meta.url));
const TABLES = ["public.by_full", "public.no_key", "shop.orders", "public.domains", "public.times"];

/** Deletes of these have fillers of NOT NULL columns. */
const FILLED = ["shop.orders"];

type Values = readonly (string | null)[];

const theirs = (await readRecords("string")).map(([, , value]) => value);
const ours = (await formatCaptured({ decimals: "string", tombstones: true })).map(({ text }) =>
  text
);
await run("mvn", [
  "-q",
  "-B",
  "compile",
  "dependency:build-classpath",
  "-Dmdep.outputFile=target/classpath",
], "");
const expected = await changelog(theirs);
const found = await changelog(ours);
for (let i = 0; i < Math.max(expected.length, found.length); i++) {
  if (expected[i] !== found[i]) {
    console.error(`line ${i}\n  Debezium: ${expected[i]}\n  ours:     ${found[i]}`);
    Deno.exit(1);
  }
}
console.log(`Flink made the same ${found.length} rows of both`);

async function changelog(values: Values): Promise<string[]> {
  let table = "";
  const lines: string[] = [];
  for (const value of values) {
    const isTombstone = value === null || value === "";
    if (!isTombstone) {
      const { op, before, after, source } = JSON.parse(value);
      table = `${source.schema}.${source.table}`;
      if (op === "u" && before === null) continue;
      // Flink reads neither TRUNCATE nor messages; rows of the snapshot and what stops Debezium only one has.
      if (!"cud".includes(op) || after?.tt === "12:01:15Z") continue;
      // Where Debezium has fillers, ours has null.
      if (op === "d" && FILLED.includes(table)) continue;
    }
    if (TABLES.includes(table)) {
      lines.push(`${table} ${Buffer.from(value ?? "").toString("base64")}`);
    }
  }
  const classpath = await Deno.readTextFile(`${HERE}target/classpath`);
  const text = await run(
    "java",
    ["-cp", `target/classes:${classpath.trim()}`, "FlinkReader"],
    lines.join("\n") + "\n",
  );
  return text.split("\n").filter((line) => line.startsWith("ROW "));
}

async function run(command: string, args: string[], input: string): Promise<string> {
  const child = new Deno.Command(command, {
    args,
    cwd: HERE,
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(input));
  await writer.close();
  const { success, stdout } = await child.output();
  if (!success) throw new Error(`${command} failed`);
  return new TextDecoder().decode(stdout);
}
