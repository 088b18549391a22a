import { assert, assertEquals, assertMatch } from "@std/assert";
import { COMMANDS, environmentName, TEXT_COMMANDS } from "../../src/cli/flag.ts";
import { flagList, flags } from "../../src/cli/flags.ts";
import { HELP_WIDTH, renderFlagReference, renderHelp } from "../../src/cli/help.ts";
import { VERSION, versionLine } from "../../src/base/version.ts";
import { parseCommandLine } from "../../src/cli/parse.ts";
import { withGeneratedPart } from "../support/generated_part.ts";
import { hostWith, parseRun } from "../support/command_line.ts";

for (const command of [...COMMANDS, ...TEXT_COMMANDS]) {
  Deno.test(`renderHelp of ${command} fits a terminal of 80 columns`, () => {
    for (const line of renderHelp(command).split("\n")) {
      assert([...line].length <= HELP_WIDTH, line);
      assertEquals(line, line.trimEnd());
    }
  });
}

for (const command of COMMANDS) {
  Deno.test(`renderHelp of ${command} shows each flag once, with its letter and its text on one line`, () => {
    // A check and a plan take the flags of a run, and do not repeat them.
    const own = flagList.filter(({ commands }) =>
      commands.includes(command) &&
      (!["check", "plan"].includes(command) || !commands.includes("run"))
    );
    assertShows(renderHelp(command), own);
  });
}

function assertShows(help: string, own: typeof flagList) {
  for (const flag of own) {
    const pattern = new RegExp(
      `^  ${flag.letter ? `-${flag.letter},` : "   "} --${flag.name}${
        flag.placeholder ? " " + flag.placeholder : ""
      }\\s+`,
      "gm",
    );
    assertEquals(help.match(pattern)?.length, 1, flag.name);
    assert(help.includes(flag.short), flag.short);
  }
  const shown = help.match(/^ {2}(-.,| {3}) --[a-z]/gm)?.length;
  assertEquals(shown, own.length);
}

Deno.test("renderHelp's examples are command lines that parse", () => {
  const examples = COMMANDS.flatMap((command) =>
    renderHelp(command).replaceAll("\\\n", "").split("\n")
      .filter((line) => /^ +pg2kinesis .* -d |^ +pg2kinesis tail -/.test(line))
  );
  assertEquals(examples.length, 14);
  for (const example of examples) {
    const words = example.trim().replace(/ [|>].*/, "").split(/\s+/).slice(1);
    parseCommandLine(words.map((word) => word.replaceAll("'", "")), { PGUSER: "u" }, hostWith());
  }
});

Deno.test("flagList has no two flags of one name, letter or variable", () => {
  const unique = (names: (string | undefined)[]) => {
    const given = names.filter((name) => name !== undefined);
    assertEquals(given.length, new Set(given).size);
  };
  unique(flagList.map((flag) => flag.name));
  for (const command of COMMANDS) {
    const own = flagList.filter(({ commands }) => commands.includes(command));
    unique(own.map((flag) => flag.letter));
  }
  unique(flagList.map(environmentName));
  // `--no-…` must stay free for switches.
  for (const flag of flagList) assert(!flag.name.startsWith("no-"), flag.name);
});

Deno.test("flagList's defaults in words are what the flags do", () => {
  const { options } = parseRun([]);
  assertEquals(options.slot.name, flags.pgSlotName.defaultText);
  assertEquals(options.slot.plugin, flags.pgSlotOutputPlugin.defaultText);
  assertEquals(String(options.stream.shardCount), flags.shardCount.defaultText);
  for (const flag of flagList) {
    const stated = /([\w-]+) \(default\)/.exec(flag.short)?.[1];
    if (stated !== undefined) assertEquals(stated, flag.defaultText, flag.name);
  }
});

Deno.test("renderFlagReference has a row for every flag, with its variable", () => {
  const reference = renderFlagReference();
  for (const flag of flagList) {
    const rows = reference.split("\n").filter((line) => line.includes(`\`--${flag.name}`));
    const own = rows.filter((line) => line.split("|")[1]?.includes(`--${flag.name}`));
    assert(own.length >= 1, flag.name);
    if (flag.inEnvironment) assert(reference.includes(`\`${environmentName(flag)}\``), flag.name);
  }
  // A bar in a cell would break the table.
  for (const line of reference.split("\n").filter((line) => line.startsWith("|"))) {
    assertEquals(line.split("|").length, 5, line);
  }
});

Deno.test("docs/flags.md is the reference of this flag table", async () => {
  const page = await Deno.readTextFile(new URL("../../docs/flags.md", import.meta.url));
  assert(
    page === withGeneratedPart(page, "flags", renderFlagReference()),
    "docs/flags.md is stale; run: deno run -A scripts/references.ts",
  );
});

Deno.test("versionLine names the program, the commit, Deno and V8", async () => {
  assertMatch(VERSION, /^\d+\.\d+\.\d+/);
  const head = await new Deno.Command("git", {
    args: ["rev-parse", "--short=12", "HEAD"],
    cwd: new URL("../..", import.meta.url),
  }).output().catch(() => undefined);
  // Without git, or outside of a checkout, there is no commit to name.
  const commit = head?.success ? new TextDecoder().decode(head.stdout).trim() : "source";
  assertMatch(versionLine(), new RegExp(`^pg2kinesis ${VERSION} \\(${commit}(-dirty)?, Deno `));
  assert(versionLine().includes(`Deno ${Deno.version.deno}, V8 `));
});

Deno.test("COMMANDS has run first, which may be left out", () => {
  assertEquals(COMMANDS[0], "run");
});
