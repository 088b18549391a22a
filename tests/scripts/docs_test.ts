import { assert, assertEquals } from "@std/assert";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { environmentName } from "../../src/cli/flag.ts";
import { flagList, MASK_SALT_VARIABLE } from "../../src/cli/flags.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** Variables of the scripts and tests. */
const OTHER_VARIABLES = [
  "PG2KINESIS_BIN",
  "PG2KINESIS_URL",
  "PG2KINESIS_FUZZ_INPUTS",
  "PG2KINESIS_INTEROP",
  MASK_SALT_VARIABLE,
];

/** Flags of other programs that the documents call. */
const OTHER_FLAGS = new Set([
  ...["--target", "--all", "--long", "--keep"], // deno task …, demo.sh
  ...["--stream-name", "--target-shard-count", "--scaling-type", "--function-name"], // aws
  ...["--event-source-arn", "--starting-position", "--batch-size", "--parallelization-factor"],
  ...[
    "--function-response-types",
    "--query",
    "--output",
    "--shard-id",
    "--decode",
    "--cli-input-json",
  ],
  ...["--shard-iterator-type", "--shard-iterator"],
  ...["--pg-password"], // the Python tool's
]);

const documents = await findDocuments();

for (const [path, text] of documents) {
  Deno.test(`${path}: its links lead somewhere`, async () => {
    const broken: string[] = [];
    for (const link of linksOf(text)) {
      if (/^(https?:|mailto:)/.test(link)) continue;
      const [file = "", anchor] = link.split("#");
      const target = file === "" ? path : join(dirname(path), file);
      try {
        await Deno.stat(join(ROOT, target));
      } catch {
        broken.push(link);
        continue;
      }
      if (anchor === undefined || !target.endsWith(".md")) continue;
      const headings = headingsOf(await Deno.readTextFile(join(ROOT, target)));
      if (!headings.has(anchor)) broken.push(link);
    }
    assertEquals(broken, []);
  });

  Deno.test(`${path}: the flags and variables that it names are there`, () => {
    const known = new Set(flagList.flatMap(({ name }) => [`--${name}`, `--no-${name}`]));
    const flags = [...text.matchAll(/(?<![\w-])--[a-z][\w-]*/g)].map(([flag]) => flag);
    assertEquals(flags.filter((flag) => !known.has(flag) && !isOthers(flag, text)), []);
    const variables = new Set([...flagList.map(environmentName), ...OTHER_VARIABLES]);
    const named = [...text.matchAll(/\bPG2KINESIS_[A-Z_]*[A-Z]\b/g)].map(([name]) => name);
    assertEquals(named.filter((name) => !variables.has(name)), []);
  });
}

Deno.test("the tests and sources that documents name are there", async () => {
  let named = 0;
  for (const [path, text] of documents) {
    for (const [file] of text.matchAll(/\b(?:tests|src|scripts|docs)\/[\w./-]+\.\w+/g)) {
      named++;
      await Deno.stat(join(ROOT, file)).catch(() => {
        throw new Error(`${path} names ${file}, which is not there`);
      });
    }
  }
  assert(named > 20, `only ${named} were found`);
});

Deno.test("every promise of docs/security.md says against whom it is and names what tried it", async () => {
  const text = await Deno.readTextFile(join(ROOT, "docs/security.md"));
  const rows = text.split("\n").filter((line) => line.startsWith("| ")).slice(2);
  assert(rows.length > 10);
  const promises = rows.map((row) => row.split("|")[2]!.trim());
  assertEquals(promises, [...new Set(promises)]);
  for (const row of rows) {
    const [against, promise, tried] = row.split("|").slice(1, -1).map((cell) => cell.trim());
    assert(against && promise && /`tests\/[\w/]+_test\.ts`/.test(tried ?? ""), row);
  }
});

Deno.test("README.md is short, and begins with its quick start", () => {
  const lines = documents.get("README.md")!.trimEnd().split("\n");
  assert(lines.length <= 300, `${lines.length} lines: move what is not an overview to docs/`);
  const start = lines.indexOf("## Quick start");
  assert(start > 0 && start < 12, "the quick start is not on the first screen");
  assert(lines.slice(start, start + 12).some((line) => line.startsWith("    sh scripts/demo.sh")));
});

Deno.test("every document is linked from README.md or CONTRIBUTING.md", () => {
  const linked = new Set<string>();
  const open = ["README.md", "CONTRIBUTING.md"];
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    if (linked.has(path)) continue;
    linked.add(path);
    for (const link of linksOf(documents.get(path) ?? "")) {
      open.push(join(dirname(path), link.split("#")[0]!));
    }
  }
  const missing = [...documents.keys()].filter((path) =>
    path.startsWith("docs/") && !linked.has(path)
  );
  assertEquals(missing, []);
  assert(linked.size > 3);
});

const OTHER_PROGRAMS =
  /\b(deno|npm|npx|git|gh|curl|sha256sum|systemctl|systemd-analyze|apt-get|psql|bash|sh)\b/;

/** A flag of another program: it is known, or stands a little behind that program's name. */
function isOthers(flag: string, text: string): boolean {
  if (OTHER_FLAGS.has(flag)) return true;
  return [...text.matchAll(new RegExp(`${flag}(?![\\w-])`, "g"))].every(({ index }) =>
    OTHER_PROGRAMS.test(text.slice(Math.max(0, index - 160), index))
  );
}

async function findDocuments(): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  const look = async (directory: string) => {
    for await (const { name, isDirectory } of Deno.readDir(join(ROOT, directory))) {
      const path = join(directory, name);
      if (isDirectory && directory !== ".") await look(path);
      else if (name.endsWith(".md")) found.set(path, await Deno.readTextFile(join(ROOT, path)));
    }
  };
  await look(".");
  await look("docs");
  return found;
}

/** Of `[text](link)` and `[text]: link`, outside of code. */
function linksOf(text: string): string[] {
  const prose = text.replace(/^( {4}|```)[^\n]*$/gm, "").replace(/`[^`\n]*`/g, "code");
  return [
    ...[...prose.matchAll(/\]\(([^)\s]+)\)/g)].map(([, link]) => link!),
    ...[...prose.matchAll(/^\[[^\]]+\]: (\S+)/gm)].map(([, link]) => link!),
  ];
}

/** As they are linked to: in small letters, with dashes for spaces. */
function headingsOf(text: string): Set<string> {
  return new Set(
    [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading]) =>
      heading!.toLowerCase().replace(/[^\p{L}\p{N} _-]/gu, "").replaceAll(" ", "-")
    ),
  );
}
