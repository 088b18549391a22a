import { assert, assertEquals } from "@std/assert";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** Files that log words which come from elsewhere, and what docs/operating.md has of these. */
const PASSED_ON: Readonly<Record<string, string>> = {
  "src/cli/main.ts": "what is wrong with flags and variables; the error that ends the program",
  "src/run/stages.ts": "what is doubtful about rules for columns",
  "src/tail/tail.ts": "findings of --verify",
  "src/run/wal_guard.ts": "the warning of --max-lag-bytes",
  "src/telemetry/foreign_output.ts": "what a formatter or a library prints",
};

/** Behind a string literal that begins at `start`, a template's expressions included. */
function endOfString(source: string, start: number): number {
  const quote = source[start];
  for (let at = start + 1; at < source.length; at++) {
    if (source[at] === "\\") at++;
    else if (quote === "`" && source.startsWith("${", at)) at = endOfPart(source, at + 2, "}");
    else if (source[at] === quote) return at + 1;
  }
  throw new Error(`a string without an end: ${source.slice(start, start + 60)}`);
}

/** Where one of `ends` stands outside of strings and brackets. */
function endOfPart(source: string, start: number, ends: string): number {
  let depth = 0;
  for (let at = start; at < source.length; at++) {
    const letter = source[at]!;
    if ("\"'`".includes(letter)) at = endOfString(source, at) - 1;
    else if (depth === 0 && ends.includes(letter)) return at;
    else if ("([{".includes(letter)) depth++;
    else if (")]}".includes(letter)) depth--;
  }
  throw new Error(`no ${ends} behind: ${source.slice(start, start + 60)}`);
}

/** A logged text with `…` for what differs: its placeholders, expressions, and what is only sometimes there. */
function shapesOf(argument: string): string[] {
  const question = endOfPart(`${argument}?`, 0, "?");
  if (question < argument.length) {
    const colon = endOfPart(argument, question + 1, ":");
    return [argument.slice(question + 1, colon), argument.slice(colon + 1)].flatMap(shapesOf);
  }
  let shape = "";
  for (let at = 0; at < argument.length; at++) {
    const letter = argument[at]!;
    if ("\"'`".includes(letter)) {
      const end = endOfString(argument, at);
      shape += argument.slice(at + 1, end - 1);
      at = end - 1;
    } else if (letter === "(") {
      shape += "…";
      at = endOfPart(argument, at + 1, ")");
    } else if (/\w/.test(letter)) {
      shape += "…";
      at += /^\w*/.exec(argument.slice(at))![0].length - 1;
    }
  }
  for (let at = shape.indexOf("${"); at >= 0; at = shape.indexOf("${")) {
    shape = `${shape.slice(0, at)}…${shape.slice(endOfPart(shape, at + 2, "}") + 1)}`;
  }
  return [shape.replace(/\{\w+\}/g, "…").replace(/\\(["'])/g, "$1").replace(/…+/g, "…")];
}

async function* sources(folder = join(ROOT, "src")): AsyncGenerator<[file: string, text: string]> {
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    const path = join(folder, name);
    if (isDirectory) yield* sources(path);
    else if (name.endsWith(".ts")) yield [relative(ROOT, path), await Deno.readTextFile(path)];
  }
}

/** By line: the files that log it, at info and above. */
async function loggedLines(): Promise<Map<string, string>> {
  const lines = new Map<string, string>();
  const call = /(?:\blog|\blogger|\.log|getLogger\(\[[^\]]*\]\))\s*\.(?:info|warn|error)\(\s*/g;
  for await (const [file, source] of sources()) {
    for (const found of source.matchAll(call)) {
      const start = found.index + found[0].length;
      for (const shape of shapesOf(source.slice(start, endOfPart(source, start, ",)")))) {
        if (/[a-z]/.test(shape)) lines.set(shape, file);
        else assert(file in PASSED_ON, `${file} logs words that no list has: ${found[0]}`);
      }
    }
  }
  return lines;
}

/** The lines in the tables of docs/operating.md, without those of level ERROR. */
async function documentedLines(): Promise<string[]> {
  const document = await Deno.readTextFile(join(ROOT, "docs/operating.md"));
  const [, section = ""] = /^## What the log says.*?\n(.*?)^## /ms.exec(document) ?? [];
  return section.split("\n").filter((row) => row.startsWith("|")).flatMap((row) => {
    const cell = row.split(" | ")[0]!;
    return cell.includes("ERROR") ? [] : [...cell.matchAll(/`([^`]+)`/g)].map(([, line]) => line!);
  });
}

/** Either may leave to `…` what the other one spells out. */
function matches(shape: string, documented: string): boolean {
  return covers(shape, documented) || covers(documented, shape);
}

function covers(pattern: string, text: string): boolean {
  return new RegExp(`^${partsOf(pattern).join(".*")}$`, "s").test(text);
}

const partsOf = (line: string) =>
  line.split("…").map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));

/** Whether a source spells a line out that it hands on to be logged. */
async function isWrittenSomewhere(line: string): Promise<boolean> {
  const pattern = new RegExp(partsOf(line).join("[^]{0,300}?"));
  for await (const [, source] of sources()) {
    if (pattern.test(source.replace(/["`] \+\s+["`]/g, ""))) return true;
  }
  return false;
}

Deno.test("shapesOf reads what a call of the logger says", () => {
  assertEquals(shapesOf('"a {b} c " +\n  "d"'), ["a … c d"]);
  assertEquals(shapesOf('"a" + (b === "" ? "" : "; {c}")'), ["a…"]);
  assertEquals(shapesOf("`x ${f(`${y}`)} of {z}`"), ["x … of …"]);
  assertEquals(shapesOf('is === "a" ? "one {b}" : "two"'), ["one …", "two"]);
  assertEquals(shapesOf('"{text}"'), ["…"]);
});

Deno.test("docs/operating.md has every line that is logged at info and above, and no other", async () => {
  const logged = await loggedLines();
  const documented = await documentedLines();
  assert(logged.size > 50, `${logged.size} lines were found in the source`);
  const missing = [...logged].filter(([shape]) => !documented.some((line) => matches(shape, line)));
  assertEquals(missing, [], "lines of the source that the document lacks");
  const stale: string[] = [];
  for (const line of documented) {
    if ([...logged.keys()].some((shape) => matches(shape, line))) continue;
    if (!await isWrittenSomewhere(line)) stale.push(line);
  }
  assertEquals(stale, [], "lines of the document that are logged nowhere");
});
