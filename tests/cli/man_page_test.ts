import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { COMMANDS } from "../../src/cli/flag.ts";
import { flagList } from "../../src/cli/flags.ts";
import { renderHelp } from "../../src/cli/help.ts";
import { EXAMPLES, EXIT_CODES, SIGNALS } from "../../src/cli/manual.ts";
import { renderManPage } from "../../src/cli/man_page.ts";

/** Programs that read a manual page, and what makes them tell every fault. */
const READERS: readonly (readonly [string, ...string[]])[] = [
  ["man", "--warnings=w", "-l", "-"],
  ["groff", "-man", "-ww", "-Tutf8", "-P-cbou"],
  ["mandoc", "-Tlint", "-Wstyle"],
];

for (const [command, ...args] of READERS) {
  const ignore = !isThere(command);
  if (ignore) console.warn(`skipped: ${command} is not installed`);
  Deno.test({
    name: `${[command, ...args].join(" ")} finds no fault with renderManPage`,
    ignore,
    fn: async () => {
      // Without a date, as outside of a checkout, it is an undated page, which mandoc remarks on.
      const page = renderManPage().replace('.TH PG2KINESIS 1 ""', '.TH PG2KINESIS 1 "2026-11-22"');
      const child = new Deno.Command(command, {
        args,
        env: { MANWIDTH: "80", LC_ALL: "C.UTF-8" },
        stdin: "piped",
        stdout: "piped",
        stderr: "piped",
      }).spawn();
      const [output] = await Promise.all([
        child.output(),
        new Blob([page]).stream().pipeTo(child.stdin),
      ]);
      const [stdout, stderr] = [output.stdout, output.stderr].map((bytes) =>
        new TextDecoder().decode(bytes)
      );
      assertEquals([output.success, stderr], [true, ""], stdout);
      if (command === "mandoc") return assertEquals(stdout, "");
      for (const { name, letter, placeholder = "" } of flagList) {
        const heading = `${letter === undefined ? "" : `-${letter}, `}--${name} ${placeholder}`;
        assertStringIncludes(stdout!, `       ${heading.trimEnd()}`);
      }
      assertStringIncludes(stdout!, "PGPASSWORD, PGSERVICE, PGSSLMODE, …");
      assertStringIncludes(stdout!, `--table-pat '^public\\.(orders|customers)$'`);
      for (const line of stdout!.split("\n")) assert([...line].length <= 80, line);
    },
  });
}

Deno.test("renderManPage and renderHelp print the same signals, exit codes and examples", () => {
  const page = renderManPage();
  const entry = (term: string, meaning: string) =>
    assertStringIncludes(
      page.replace(/(?<!^)\n(?!\.)/gm, " "),
      `.TP \\fB${term}\\fR ${meaning[0]!.toUpperCase()}${asRoff(meaning.slice(1))}.`,
    );
  for (const [signals, meaning] of SIGNALS) {
    entry(signals, meaning);
    assertStringIncludes(renderHelp("run"), `  ${signals}  `);
  }
  for (const command of COMMANDS) {
    for (const [code, meaning] of EXIT_CODES[command]) {
      entry(code, meaning);
      assertStringIncludes(renderHelp(command), `  ${code}  ${meaning}`);
    }
    for (const { lines } of EXAMPLES[command]) {
      for (const line of lines) {
        assertStringIncludes(page, `\n${asRoff(line)}\n`);
        assertStringIncludes(renderHelp(command), `\n  ${line}\n`);
      }
    }
  }
});

const asRoff = (text: string) =>
  text.replaceAll("\\", "\\e").replaceAll("-", "\\-").replaceAll("'", "\\(aq")
    .replaceAll("^", "\\(ha").replaceAll("…", "\\[u2026]");

function isThere(command: string): boolean {
  try {
    new Deno.Command(command, { stdout: "null", stderr: "null", stdin: "null" }).outputSync();
    return true;
  } catch {
    return false;
  }
}
