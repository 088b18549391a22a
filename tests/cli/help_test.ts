import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { environmentName } from "../../src/cli/flag.ts";
import { COMMANDS, flagList, flags } from "../../src/cli/flags.ts";
import {
  HELP_WIDTH,
  REFERENCE_BEGIN,
  REFERENCE_END,
  renderFlagReference,
  renderHelp,
  withFlagReference,
} from "../../src/cli/help.ts";
import { VERSION, versionLine } from "../../src/cli/version.ts";
import { parseRun } from "./support.ts";

Deno.test("renderHelp fits a terminal of 80 columns", () => {
  for (const line of renderHelp().split("\n")) {
    assert([...line].length <= HELP_WIDTH, line);
    assertEquals(line, line.trimEnd());
  }
});

Deno.test("renderHelp shows every flag once, with its letter and its text on one line", () => {
  const help = renderHelp();
  for (const flag of flagList) {
    const pattern = new RegExp(
      `^  ${flag.letter ? `-${flag.letter},` : "   "} --${flag.name}${
        flag.placeholder ? " " + flag.placeholder : ""
      }\\s+`,
      "gm",
    );
    assertEquals(help.match(pattern)?.length, 1, flag.name);
    assert(help.includes(flag.short), flag.short);
  }
});

Deno.test("renderHelp's examples are command lines that parse", () => {
  const examples = renderHelp().replaceAll("\\\n", "").split("\n")
    .filter((line) => /^ +pg2kinesis /.test(line));
  assertEquals(examples.length, 3);
  for (const example of examples) {
    parseRun(example.trim().split(/\s+/).slice(1).map((word) => word.replaceAll("'", "")));
  }
});

Deno.test("flagList has no two flags of one name, letter or variable", () => {
  const unique = (names: (string | undefined)[]) => {
    const given = names.filter((name) => name !== undefined);
    assertEquals(given.length, new Set(given).size);
  };
  unique(flagList.map((flag) => flag.name));
  unique(flagList.map((flag) => flag.letter));
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

Deno.test("README.md has the flag reference of this flag table", async () => {
  const readme = await Deno.readTextFile(new URL("../../README.md", import.meta.url));
  assert(
    readme === withFlagReference(readme),
    "README.md is stale; run: deno run -A scripts/flag_reference.ts",
  );
});

Deno.test("withFlagReference replaces what is between the markers, and nothing else", () => {
  const fresh = withFlagReference(`a\n${REFERENCE_BEGIN}\n<stale>\n${REFERENCE_END}\nz\n`);
  assert(fresh.startsWith(`a\n${REFERENCE_BEGIN}\n`) && fresh.endsWith(`${REFERENCE_END}\nz\n`));
  assert(!fresh.includes("<stale>"));
  assertEquals(withFlagReference(fresh), fresh);
  for (const text of ["", REFERENCE_BEGIN, REFERENCE_END + REFERENCE_BEGIN, fresh + fresh]) {
    assertThrows(() => withFlagReference(text), Error, "needs one");
  }
});

Deno.test("versionLine names the program, Deno and V8", () => {
  assertMatch(VERSION, /^\d+\.\d+\.\d+/);
  assert(versionLine().startsWith(`pg2kinesis ${VERSION} (`));
  assert(versionLine().includes(`Deno ${Deno.version.deno}, V8 `));
});

Deno.test("COMMANDS has run first, which may be left out", () => {
  assertEquals(COMMANDS[0], "run");
});
