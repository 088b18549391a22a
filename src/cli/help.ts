import {
  type CommandName,
  COMMANDS,
  environmentName,
  type Flag,
  FLAG_CATEGORIES,
  type FlagCategory,
  type TextCommandName,
} from "./flag.ts";
import { flagList, flags, MASK_SALT_VARIABLE } from "./flags.ts";
import { type Entry, EXAMPLES, EXIT_CODES, SIGNALS } from "./manual.ts";
import { SHELLS } from "./shells.ts";
import { VERSION } from "../base/version.ts";

/** Help fits a terminal of 80 columns, with one to spare for its cursor. */
export const HELP_WIDTH = 79;

/** The column at which the flags' texts begin. */
const TEXT_COLUMN = 34;

/** The help of a command; that of `run` also lists the others. */
export function renderHelp(command: CommandName | TextCommandName = COMMANDS[0]): string {
  switch (command) {
    case "run":
      return runHelp();
    case "check":
      return checkHelp();
    case "backfill":
      return backfillHelp();
    case "tail":
      return tailHelp();
    case "plan":
      return planHelp();
    case "health":
      return healthHelp();
    case "completions":
      return completionsHelp();
    case "man":
      return manHelp();
    case "schema":
      return schemaHelp();
    default:
      return command satisfies never;
  }
}

function runHelp(): string {
  return `\
pg2kinesis ${VERSION}: publishes every committed row change of a PostgreSQL database
to an Amazon Kinesis data stream, in commit order.

Usage: pg2kinesis [run] [options]  follow the database
       pg2kinesis check [options]  what would stop such a run; changes nothing
       pg2kinesis backfill         publish the rows that tables already hold
       pg2kinesis tail [options]   read a stream back, one record per line
       pg2kinesis plan --parts N   share the work among several runs
       pg2kinesis health           ask a run on this machine how it is
       pg2kinesis completions ${SHELLS.join("|")}
                                   print a completion script for the shell
       pg2kinesis man              print the manual page
       pg2kinesis schema           print the JSON Schema of the format JSON

${renderExamples("run")}
${renderFlags("run")}
Environment:
  Every option can be set by a variable: PG2KINESIS_ and its name in capitals,
  such as PG2KINESIS_STREAM_NAME. The option wins. A switch is true or false;
  --no-create-slot turns off what a variable turned on. Lists are separated by
  commas. Options and variables win over the --config file. Also used:
  ${MASK_SALT_VARIABLE}       the salt of --mask-column
  PGPASSWORD, PGSERVICE, …   as for psql; a password is never an option: use
                             PGPASSWORD, ~/.pgpass or PG2KINESIS_PG_URL
  AWS_REGION, AWS_PROFILE, … as for every AWS tool

Signals:
${renderSignals()}
${renderExitCodes("run")}
The log goes to stderr.
`;
}

function checkHelp(): string {
  return `\
pg2kinesis check: checks for everything that would stop a run with the same
options, and says how to fix it. Changes nothing.

Usage: pg2kinesis check [options of a run] [--json]

${renderExamples("check")}
It prints one line per check: what was found and, after an arrow, the
statement, policy or option that fixes it.
  ✓  fine
  !  does not stop a run now, but is worth knowing
  ✗  would stop a run, or makes the application's own statements fail
The last line is the verdict. On a terminal it is in colour, unless NO_COLOR is
set.

Options: those of pg2kinesis run (see pg2kinesis --help), and
${renderFlag(flags.json)}

${renderExitCodes("check")}`;
}

function backfillHelp(): string {
  return `\
pg2kinesis backfill: asks the run that follows a slot to publish the rows that
tables hold already, at their place among the changes. It may be on any host:
this writes a message into the WAL, and the run reads the rows.

Usage: pg2kinesis backfill --table GLOB [--table …] [--wait]
       pg2kinesis backfill --status [--json]
       pg2kinesis backfill --stop [--table GLOB …]

${renderExamples("backfill")}
${renderFlags("backfill")}
The role of the run needs SELECT on the tables (pg2kinesis check prints what is
missing); the role that asks needs nothing. The request's id goes to stdout.

${renderExitCodes("backfill")}`;
}

function tailHelp(): string {
  return `\
pg2kinesis tail: reads a stream back, all shards, parents before children.
Unpacks aggregates, and prints one user record per line on stdout.

Usage: pg2kinesis tail [options]

${renderExamples("tail")}
${renderFlags("tail")}
A line is the record's data. Line breaks, control characters and bytes that are
not UTF-8 are escaped as \\n, \\r or \\x1b; --json is exact.

It needs kinesis:ListShards, kinesis:GetShardIterator and kinesis:GetRecords,
and for an encrypted stream kms:Decrypt on its key. A shard serves all its
readers together five answers and 2 MB a second.

${renderExitCodes("tail")}`;
}

function planHelp(): string {
  const own = byCategory(({ category }) => category === "plan").flatMap(([, group]) => group);
  return `\
pg2kinesis plan: prints how several runs can share the work of one: the
statements for publications and slots, and a command line for each run. Every
row is in one part, and the changes of a key stay in order. Changes nothing.

Usage: pg2kinesis plan --parts N [--split rows|tables] [options of a run]

${renderExamples("plan")}
The options of the run are repeated in each command line. docs/growing.md says
when this helps, and what is not as with one run.

Options: those of pg2kinesis run (see pg2kinesis --help), and
${[...own, flags.json].map(renderFlag).join("\n")}

${renderExitCodes("plan")}`;
}

function healthHelp(): string {
  return `\
pg2kinesis health: asks a run on this machine whether it is alive or ready, for
the health checks of containers that have no other program.

Usage: pg2kinesis health --metrics-addr [HOST:]PORT [--ready]

${renderExamples("health")}
${renderFlags("health")}
${renderExitCodes("health")}`;
}

function completionsHelp(): string {
  return `\
pg2kinesis completions: prints a script with which a shell completes commands,
options and their values.

Usage: pg2kinesis completions ${SHELLS.join("|")}

${renderExamples("completions")}`;
}

function manHelp(): string {
  return `\
pg2kinesis man: prints the manual page, which explains every option in full.

Usage: pg2kinesis man

${renderExamples("man")}`;
}

function schemaHelp(): string {
  return `\
pg2kinesis schema: prints the JSON Schema of the records of
--message-formatter JSON, for validators and code generators.

Usage: pg2kinesis schema

${renderExamples("schema")}`;
}

function renderExamples(command: CommandName | TextCommandName): string {
  const blocks = EXAMPLES[command].map(({ comment, lines }) =>
    [...comment === undefined ? [] : [`# ${comment}`], ...lines].map((line) => `  ${line}\n`).join(
      "",
    )
  );
  const isOne = blocks.length === 1 && EXAMPLES[command][0]!.lines.length === 1;
  return `Example${isOne ? "" : "s"}:\n${blocks.join("\n")}`;
}

function renderSignals(): string {
  const column = 2 + Math.max(...SIGNALS.map(([term]) => term.length));
  return SIGNALS.map(([term, meaning]) =>
    wrapped(meaning.split(" "), " ", HELP_WIDTH - 2 - column)
      .map((line, index) => `  ${(index === 0 ? term : "").padEnd(column)}${line}\n`).join("")
  ).join("");
}

function renderExitCodes(command: CommandName): string {
  const codes = EXIT_CODES[command].map((entry: Entry) => entry.join("  "));
  return `Exit codes:\n${
    wrapped(codes, "     ", HELP_WIDTH - 2).map((line) => `  ${line}\n`).join("")
  }`;
}

/** Puts as many parts on a line as fit. */
function wrapped(parts: readonly string[], separator: string, width: number): string[] {
  const lines: string[] = [];
  for (const part of parts) {
    const longer = lines.length === 0 ? part : `${lines.at(-1)}${separator}${part}`;
    if (lines.length === 0 || longer.length > width) lines.push(part);
    else lines[lines.length - 1] = longer;
  }
  return lines;
}

function renderFlags(command: CommandName): string {
  const groups = byCategory(({ commands }) => commands.includes(command)).map(([title, group]) =>
    `${title}:\n${group.map((flag) => renderFlag(flag) + "\n").join("")}`
  );
  return groups.join("\n");
}

function renderFlag(flag: Flag<unknown>): string {
  const left = `  ${flag.letter === undefined ? "   " : `-${flag.letter},`} ${spelling(flag)}`;
  const fallback = flag.defaultText === undefined || flag.short.includes("(default)")
    ? ""
    : ` [${flag.defaultText}]`;
  const gap = left.length < TEXT_COLUMN - 1
    ? " ".repeat(TEXT_COLUMN - left.length)
    : "\n" + " ".repeat(TEXT_COLUMN);
  return left + gap + flag.short + fallback;
}

const spelling = (flag: Flag<unknown>) =>
  `--${flag.name}${flag.placeholder === undefined ? "" : ` ${flag.placeholder}`}`;

/** Omits groups without such a flag. */
export function byCategory(
  isWanted: (flag: Flag<unknown>) => boolean = () => true,
): [string, Flag<unknown>[]][] {
  return Object.keys(FLAG_CATEGORIES).map((key): [string, Flag<unknown>[]] => {
    const category = key as FlagCategory;
    return [
      FLAG_CATEGORIES[category],
      flagList.filter((flag) => flag.category === category && isWanted(flag)),
    ];
  }).filter(([, group]) => group.length > 0);
}

/** The reference of all flags in docs/flags.md: a Markdown table for each group. */
export function renderFlagReference(): string {
  return byCategory().map(([title, group]) =>
    `## ${title}\n\n| Flag | Default | Meaning |\n|---|---|---|\n` +
    group.map((flag) => `| ${flagCell(flag)} | ${defaultCell(flag)} | ${flag.long} |\n`).join("")
  ).join("\n");
}

function flagCell(flag: Flag<unknown>): string {
  const letter = flag.letter === undefined ? "" : `\`-${flag.letter}\`, `;
  const variable = flag.inEnvironment ? `<br>\`${environmentName(flag)}\`` : "";
  return `${letter}\`${spelling(flag)}\`${variable}`;
}

function defaultCell(flag: Flag<unknown>): string {
  if (flag.placeholder === undefined) return flag.inEnvironment ? "off" : "";
  return flag.defaultText === undefined ? "" : `\`${flag.defaultText}\``;
}
