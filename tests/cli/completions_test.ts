import { assert, assertEquals, assertMatch } from "@std/assert";
import { join } from "node:path";
import { renderCompletions } from "../../src/cli/completions.ts";
import { COMMANDS, TEXT_COMMANDS } from "../../src/cli/flag.ts";
import { flagList } from "../../src/cli/flags.ts";
import { parseCommandLine } from "../../src/cli/parse.ts";
import { SHELLS } from "../../src/cli/shells.ts";
import { hostWith, usageError } from "../support/command_line.ts";

const ALL_COMMANDS = [...COMMANDS, ...TEXT_COMMANDS];
const namesOf = (command: typeof COMMANDS[number]) =>
  flagList.filter(({ commands }) => commands.includes(command)).map(({ name }) => `--${name}`);

/** What a command line offers at its end, in a folder with `my format.js` and `certs/`. */
const OFFERS: readonly (readonly [line: string, offers: readonly string[]])[] = [
  ["pg2kinesis ", ALL_COMMANDS],
  ["pg2kinesis c", ["check", "completions"]],
  ["pg2kinesis --", namesOf("run")],
  ["pg2kinesis check --pg-ssl", [
    "--pg-sslmode",
    "--pg-sslrootcert",
    "--pg-sslcert",
    "--pg-sslkey",
  ]],
  ["pg2kinesis tail --", namesOf("tail")],
  ["pg2kinesis backfill --", namesOf("backfill")],
  ["pg2kinesis plan --", namesOf("plan")],
  ["pg2kinesis health --", namesOf("health")],
  ["pg2kinesis plan --split ", ["rows", "tables"]],
  ["pg2kinesis --pg-sslmode ver", ["verify-ca", "verify-full"]],
  ["pg2kinesis --pg-sslmode verify-ca --operations t", ["truncate"]],
  ["pg2kinesis -d tail --fo", []],
  ["pg2kinesis tail --from ", ["oldest", "latest"]],
  ["pg2kinesis --pg-sslcert c", ["certs"]],
  ["pg2kinesis --message-formatter my", ["my format.js"]],
  ["pg2kinesis --message-formatter CSV", ["CSV", "CSVPayload"]],
  ["pg2kinesis --stream-name ", []],
  ["pg2kinesis completions ", SHELLS],
];

const FOLDER_FILES = ["my format.js"];

Deno.test("parseCommandLine knows the commands that print a text, and says what they need", () => {
  const parse = (...args: string[]) => parseCommandLine(args, {}, hostWith());
  for (const shell of SHELLS) {
    assertEquals(parse("completions", shell), { kind: "completions", shell });
  }
  assertEquals(parse("man"), { kind: "man" });
  assertEquals(parse("schema"), { kind: "schema" });
  assertEquals(parse("man", "--help"), { kind: "help", command: "man" });
  assertEquals(parse("completions", "--version"), { kind: "version" });
  assertMatch(usageError(["completions"]), /takes one argument: bash, zsh, fish/);
  assertMatch(usageError(["completions", "bash", "zsh"]), /takes one argument/);
  assertMatch(usageError(["completions", "csh"]), /"csh" is not one of .* did you mean/);
  assertMatch(usageError(["man", "page"]), /takes no arguments/);
  assertMatch(usageError(["schema", "JSON"]), /pg2kinesis schema takes no arguments/);
  assertMatch(usageError(["man", "-d", "shop"]), /--pg-dbname is no flag of pg2kinesis man/);
});

Deno.test("renderCompletions has every flag, for each shell", () => {
  for (const shell of SHELLS) {
    const script = renderCompletions(shell);
    for (const { name } of flagList) {
      assert(script.includes(shell === "fish" ? `-l ${name} ` : `--${name}`), `${shell} ${name}`);
    }
  }
});

shellTest("bash", async (scratch) => {
  // As readline does: the words, of which bash makes three where there is a `=`.
  const script = `
    . "$1"
    while IFS= read -r line; do
      COMP_LINE=$line COMP_POINT=\${#line}
      eval "COMP_WORDS=(\${line//=/ = })"
      [[ $line == *' ' || $line == *= ]] && COMP_WORDS+=("")
      [[ $line == *= ]] && unset 'COMP_WORDS[\${#COMP_WORDS[@]}-1]'
      COMP_CWORD=$((\${#COMP_WORDS[@]} - 1))
      _pg2kinesis pg2kinesis 2>/dev/null
      printf '>%s\\n' "$line"
      [ \${#COMPREPLY[@]} -eq 0 ] || printf '%s\\n' "\${COMPREPLY[@]}"
    done`;
  const lines = [
    ...OFFERS,
    ["pg2kinesis --pg-sslmode=ver", ["verify-ca", "verify-full"]],
    ["pg2kinesis --log-format=", ["text", "json"]],
    ["pg2kinesis --pg-dbname=shop tail --fo", ["--follow"]],
    ["pg2kinesis --pg-dbname=tail --fo", []],
    ["pg2kinesis --log-level=debug tail --fo", ["--follow"]],
  ] as const;
  const output = await run("bash", ["--norc", "-c", script, "bash", scratch.script], {
    cwd: scratch.folder,
    input: lines.map(([line]) => line + "\n").join(""),
  });
  const answers = output.slice(1).split("\n>").map((answer) => answer.trimEnd().split("\n"));
  for (const [index, [line, offers]] of lines.entries()) {
    const [asked, ...offered] = answers[index]!;
    assertEquals(asked!.trimEnd(), line.trimEnd());
    assertEquals([...offered].sort(), [...offers].sort(), line);
  }
  assertEquals(await run("shellcheck", [scratch.script], {}).catch(notThere), "");
});

shellTest("fish", async (scratch) => {
  for (const [line, offers] of OFFERS) {
    const output = await run("fish", [
      "--no-config",
      "-c",
      `source ${scratch.script}; complete -C ${quoted(line)}`,
    ], { cwd: scratch.folder });
    const offered = output.split("\n").filter((each) => each !== "").map((each) =>
      each.split("\t")[0]!.replace(/\/$/, "").replaceAll("\\ ", " ")
    );
    assertEquals(offered.sort(), [...offers].sort(), line);
  }
});

shellTest("zsh", async (scratch) => {
  // A real line editor on a terminal of its own completes the line, and then shows it.
  const script = `
    zmodload zsh/zpty
    zpty shell zsh -f -i
    zpty -w shell "PS1= RPS1=; stty columns 200; autoload -Uz compinit; compinit -u -D; source $1"
    zpty -w shell 'show-buffer() { print -r -- "<$BUFFER>"; zle .kill-buffer; zle -R; }'
    zpty -w shell "zle -N show-buffer; bindkey '^Y' show-buffer; print rea''dy"
    zpty -r -m shell shown '*ready*'
    while IFS= read -r line; do
      zpty -w -n shell "$line"$'\\t\\C-y'
      zpty -r -m shell shown '*<pg2kinesis*>*'
      print -r -- "$shown"
    done
    zpty -d shell`;
  const lines = [
    ["pg2kinesis che", "<pg2kinesis check >"],
    ["pg2kinesis --on-ov", "<pg2kinesis --on-oversize=>"],
    ["pg2kinesis --pg-sslmode req", "<pg2kinesis --pg-sslmode require >"],
    ["pg2kinesis --log-format=js", "<pg2kinesis --log-format=json >"],
    ["pg2kinesis tail --fol", "<pg2kinesis tail --follow >"],
    ["pg2kinesis --pg-sslcert ce", "<pg2kinesis --pg-sslcert certs/>"],
    ["pg2kinesis -f my", "<pg2kinesis -f my\\ format.js >"],
    ["pg2kinesis -f CSVP", "<pg2kinesis -f CSVPayload >"],
    ["pg2kinesis completions fi", "<pg2kinesis completions fish >"],
    ["pg2kinesis -d tail --fol", "<pg2kinesis -d tail --fol>"],
    ["pg2kinesis run --fol", "<pg2kinesis run --fol>"],
  ] as const;
  const output = await run("zsh", ["-f", "-c", script, "zsh", scratch.script], {
    cwd: scratch.folder,
    input: lines.map(([line]) => line + "\n").join(""),
  });
  const completed = [...output.matchAll(/<pg2kinesis[^>]*>/g)].map(([buffer]) => buffer);
  assertEquals(completed, lines.map(([, after]) => after));
});

interface Scratch {
  /** The completions. */
  readonly script: string;
  /** Where the shell runs. */
  readonly folder: string;
}

function shellTest(shell: typeof SHELLS[number], test: (scratch: Scratch) => Promise<void>): void {
  const ignore = !isThere(shell);
  if (ignore) console.warn(`skipped: ${shell} is not installed (apt-get install ${shell})`);
  Deno.test({
    name: `${shell} completes commands, flags, values and files`,
    ignore,
    fn: async () => {
      const path = await Deno.makeTempDir({ prefix: "pg2k_complete_" });
      try {
        const scratch = { script: join(path, "completions"), folder: join(path, "folder") };
        await Deno.writeTextFile(scratch.script, renderCompletions(shell));
        await Deno.mkdir(join(scratch.folder, "certs"), { recursive: true });
        for (const name of FOLDER_FILES) await Deno.writeTextFile(join(scratch.folder, name), "");
        await test(scratch);
      } finally {
        await Deno.remove(path, { recursive: true });
      }
    },
  });
}

function isThere(command: string): boolean {
  try {
    return new Deno.Command(command, { args: ["--version"] }).outputSync().success;
  } catch {
    return false;
  }
}

function notThere(error: unknown): string {
  if (error instanceof Deno.errors.NotFound) return "";
  throw error;
}

const quoted = (text: string) => `'${text}'`;

async function run(
  command: string,
  args: string[],
  { cwd, input = "" }: { cwd?: string; input?: string },
): Promise<string> {
  const child = new Deno.Command(command, {
    args,
    cwd,
    env: { TERM: "dumb", LC_ALL: "C.UTF-8" },
    signal: AbortSignal.timeout(60_000),
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(input));
  await writer.close();
  const { success, stdout, stderr } = await child.output();
  const text = new TextDecoder();
  assert(success, `${command}: ${text.decode(stdout)}${text.decode(stderr)}`);
  return text.decode(stdout);
}
