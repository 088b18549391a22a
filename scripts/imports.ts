/**
 * Prints which rooms of the source import which, and fails on an arrow that goes up or in a circle, and
 * on two modules of one name:
 *
 *     deno run -R scripts/imports.ts
 */
import { dirname, join, normalize, relative } from "node:path";
import { fileURLToPath } from "node:url";

/** Rooms on one level, which do not import each other. */
type Level = string | readonly string[];

/**
 * `src/`, from the bottom: a room imports those before it. A new room, such as one for another sink,
 * gets its place here.
 */
const ROOMS: readonly Level[] = [
  "base",
  "options.ts",
  ["libpq", "aws"],
  "decode",
  "postgres",
  "format",
  "kinesis",
  "routes",
  ["run_progress.ts", "checkpoint.ts", "transaction_totals.ts"],
  "left_out.ts",
  "publisher.ts",
  "backfill",
  "pipeline.ts",
  "telemetry",
  ["run", "check", "tail", "plan"],
  "cli",
];

/** The folders of a room, from the bottom. Files beside them are nouns of all, or put them together. */
const FOLDERS: Readonly<Record<string, readonly Level[]>> = {
  decode: [["pgoutput", "wal2json", "test_decoding"]],
  postgres: ["connection", "catalog", "slot", "session"],
  format: ["typed", ["filter", "user", "debezium", "dms"]],
  kinesis: ["client", "stream", "aggregate", "writer"],
};

/** Of `tests/`: what all tests and the scripts share. */
const SHARED = ["support", "fixtures", "campaign"];

/** Each module with the modules of this repository that it imports; paths from the repository's root. */
export type Imports = ReadonlyMap<string, readonly string[]>;

/** What is wrong with the imports, one line each. */
export function wrongArrows(imports: Imports): string[] {
  const found: string[] = [];
  for (const [file, targets] of imports) {
    for (const target of targets) {
      const why = whyNot(file, target);
      if (why !== undefined) found.push(`${file} imports ${target}: ${why}`);
    }
  }
  for (const circle of circles(imports)) found.push(`a circle: ${circle.join(", ")}`);
  return [...found, ...namesakes([...imports.keys()])];
}

/** Modules of the program with the same name in two rooms: nobody who looks for one finds the right one. */
function namesakes(files: readonly string[]): string[] {
  const byName = Map.groupBy(
    files.filter((file) => file.startsWith("src/")),
    (file) => file.split("/").at(-1),
  );
  return [...byName.values()].filter((found) => found.length > 1)
    .map((found) => `one name twice: ${found.join(", ")}`);
}

function whyNot(file: string, target: string): string | undefined {
  const [top, room = ""] = file.split("/");
  const [targetTop, targetRoom = ""] = target.split("/");
  if (target.endsWith("_test.ts")) return "a test is nothing to build on";
  if (top === "scripts") return undefined;
  if (targetTop === "scripts") {
    return top === "tests" && room === "scripts" ? undefined : "only their tests import scripts";
  }
  if (top === "tests") {
    const isOther = targetTop === "tests" && targetRoom !== room && !SHARED.includes(targetRoom);
    return isOther ? `what tests share lies in tests/${SHARED.join(", tests/")}` : undefined;
  }
  if (targetTop !== "src") return targetTop === "tests" ? "the program needs no tests" : undefined;
  if (room !== targetRoom) return wrongLevel(ROOMS, room, targetRoom);
  const [folder, targetFolder] = [file, target].map((path) => path.split("/").slice(2, -1)[0]);
  if (folder === undefined || targetFolder === undefined || folder === targetFolder) return;
  return wrongLevel(FOLDERS[room] ?? [], folder, targetFolder);
}

function wrongLevel(levels: readonly Level[], from: string, to: string): string | undefined {
  const levelOf = (name: string) => levels.findIndex((level) => [level].flat().includes(name));
  const [level, targetLevel] = [levelOf(from), levelOf(to)];
  for (const [name, found] of [[from, level], [to, targetLevel]] as const) {
    if (found < 0) return `${name} has no place in the order of scripts/imports.ts`;
  }
  if (targetLevel < level) return undefined;
  return targetLevel === level ? `${from} and ${to} stand side by side` : `${to} is above ${from}`;
}

/** Modules that import each other, directly or by way of others (Tarjan's algorithm). */
function circles(imports: Imports): string[][] {
  const found: string[][] = [];
  const numbers = new Map<string, number>();
  const lows = new Map<string, number>();
  const open: string[] = [];
  const visit = (file: string): number => {
    const number = numbers.size;
    numbers.set(file, number);
    open.push(file);
    let low = number;
    for (const target of imports.get(file) ?? []) {
      if (!imports.has(target)) continue;
      if (!numbers.has(target)) low = Math.min(low, visit(target));
      else if (open.includes(target)) low = Math.min(low, numbers.get(target)!);
    }
    lows.set(file, low);
    if (low === number) {
      const circle = open.splice(open.indexOf(file));
      if (circle.length > 1) found.push(circle);
    }
    return low;
  };
  for (const file of imports.keys()) if (!numbers.has(file)) visit(file);
  return found;
}

/** Reads the modules of `src/`, `tests/` and `scripts/`; imports of types count, too. */
export async function readImports(root: string): Promise<Imports> {
  const imports = new Map<string, string[]>();
  const look = async (folder: string) => {
    for await (const { name, isDirectory } of Deno.readDir(join(root, folder))) {
      const path = `${folder}/${name}`;
      if (isDirectory) await look(path);
      else if (name.endsWith(".ts")) {
        const text = await Deno.readTextFile(join(root, path));
        const found = text.matchAll(/^(?! *(?:\*|\/\/)).*?\b(?:from|import)\s*\(?\s*"(\.[^"]+)"/gm);
        imports.set(path, [...found].map(([, to]) => normalize(join(dirname(path), to!))));
      }
    }
  };
  for (const folder of ["src", "tests", "scripts"]) await look(folder);
  return imports;
}

/** A line a room of `src/`: its files, and how many of their imports lead where. */
export function* arrows(imports: Imports): Generator<string> {
  for (const room of ROOMS.flat()) {
    const files = [...imports].filter(([file]) => file.split("/", 2).join("/") === `src/${room}`);
    const targets = files.flatMap(([, targets]) => targets)
      .map((target) => target.split("/")[1] ?? target).filter((target) => target !== room);
    const counts = Map.groupBy(targets, (target) => target);
    const lead = [...ROOMS.flat()].filter((name) => counts.has(name))
      .map((name) => `${name.replace(".ts", "")} ${counts.get(name)!.length}`);
    if (files.length > 0) {
      yield `${room.padEnd(14)}${String(files.length).padStart(4)}  → ${lead.join(", ") || "-"}`;
    }
  }
}

if (import.meta.main) {
  const root = relative(Deno.cwd(), fileURLToPath(new URL("..", import.meta.url))) || ".";
  const imports = await readImports(root);
  for (const line of arrows(imports)) console.log(line);
  const wrong = wrongArrows(imports);
  for (const line of wrong) console.error(line);
  if (wrong.length > 0) Deno.exit(1);
}
