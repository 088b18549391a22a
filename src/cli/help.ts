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
import { SHELLS } from "./shells.ts";
import { VERSION } from "./version.ts";

/** Help fits a terminal of 80 columns, with one to spare for its cursor. */
export const HELP_WIDTH = 79;

/** Where the flags' texts begin. */
const TEXT_COLUMN = 34;

/** The help of a command; the run's tells of the others too. */
export function renderHelp(command: CommandName | TextCommandName = COMMANDS[0]): string {
  switch (command) {
    case "run":
      return runHelp();
    case "check":
      return checkHelp();
    case "tail":
      return tailHelp();
    case "completions":
      return completionsHelp();
    case "man":
      return manHelp();
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
       pg2kinesis tail [options]   read a stream back, one record a line
       pg2kinesis completions ${SHELLS.join("|")}
                                   print what a shell completes it with
       pg2kinesis man              print the manual page

Examples:
  # Would it work? What is missing, and the statement that mends it.
  pg2kinesis check -h db.example.com -d shop -u replicator -k shop-changes

  # The first time: make the slot and the stream, then follow.
  export PGPASSWORD=… AWS_REGION=eu-west-1
  pg2kinesis -h db.example.com -d shop -u replicator --create-slot \\
             -k shop-changes --create-stream --shard-count 2

  # From then on; after a crash or a stop it goes on where it was.
  pg2kinesis -h db.example.com -d shop -u replicator -k shop-changes

  # Whole rows as JSON, of two tables only.
  pg2kinesis -d shop -f JSON --table-pat '^public\\.(orders|customers)$'

${renderFlags("run")}
Environment:
  Every option can be given as a variable: PG2KINESIS_ and its name in capital
  letters, such as PG2KINESIS_STREAM_NAME; the option wins. A switch is true or
  false, and --no-create-slot turns off what a variable turned on. Lists are
  separated by commas. Beside them:
  ${MASK_SALT_VARIABLE}       the salt of --mask-column
  PGPASSWORD, PGSERVICE, …   as for psql; a password is never an option, but
                             in PGPASSWORD, ~/.pgpass or PG2KINESIS_PG_URL
  AWS_REGION, AWS_PROFILE, … as for every AWS tool

Signals:
  SIGINT, SIGTERM  stop reading, publish what was read, confirm it, exit;
                   a second one exits at once
  SIGHUP           read the tables' primary keys again

Exit codes:
  0  clean stop     1  the run failed     2  wrong usage

The log goes to stderr.
`;
}

function checkHelp(): string {
  return `\
pg2kinesis check: looks at everything that could stop a run with the same
options, and says how to mend it. Changes nothing.

Usage: pg2kinesis check [options of a run] [--json]

Example:
  pg2kinesis check -h db.example.com -d shop -u replicator -k shop-changes

It prints a line for each check: what was found, and behind an arrow the
statement, the policy or the option that mends it.
  ✓  fine
  !  no hindrance now, but worth knowing
  ✗  would stop a run, or makes the application's own statements fail
The last line is the verdict. On a terminal it is in colour, unless NO_COLOR is
set.

Options: those of pg2kinesis run (see pg2kinesis --help), and
${renderFlag(flags.json)}

Exit codes:
  0  nothing would stop a run     1  something would     2  wrong usage
`;
}

function tailHelp(): string {
  return `\
pg2kinesis tail: reads a stream back. All shards, each one after those it came
from; aggregates are taken apart. One user record a line on stdout.

Usage: pg2kinesis tail [options]

Examples:
  pg2kinesis tail -k shop-changes -n 20 -f
  pg2kinesis tail -k shop-changes --since 10m
  pg2kinesis tail -k shop-changes --from 2026-11-22T08:00:00Z --json | jq .data
  pg2kinesis tail -k shop-changes --verify > /dev/null

${renderFlags("tail")}
A line is the record's data. What would end the line or steer a terminal stands
as \\n, \\r or \\x1b, and so do bytes that are no UTF-8; --json is exact.

It needs kinesis:ListShards, kinesis:GetShardIterator and kinesis:GetRecords,
and for an encrypted stream kms:Decrypt on its key. A shard gives its readers,
all together, five answers and 2 MB a second.

Exit codes:
  0  read to the end, interrupted, or nobody reads the lines any more
  1  the stream cannot be read, or --verify found something     2  wrong usage
`;
}

function completionsHelp(): string {
  return `\
pg2kinesis completions: prints the script that makes a shell complete commands,
options and their values.

Usage: pg2kinesis completions ${SHELLS.join("|")}

Examples:
  pg2kinesis completions bash > /etc/bash_completion.d/pg2kinesis
  pg2kinesis completions zsh > "\${fpath[1]}/_pg2kinesis"
  pg2kinesis completions fish > ~/.config/fish/completions/pg2kinesis.fish
`;
}

function manHelp(): string {
  return `\
pg2kinesis man: prints the manual page, with every option at length.

Usage: pg2kinesis man

Examples:
  pg2kinesis man | man -l -
  pg2kinesis man > /usr/local/share/man/man1/pg2kinesis.1
`;
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

/** Groups without any such flag are left out. */
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

export const REFERENCE_BEGIN = "<!-- flags:begin -->";
export const REFERENCE_END = "<!-- flags:end -->";

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

/**
 * The document with a fresh reference between its markers.
 * @throws {Error} when the markers are not there exactly once, in their order.
 */
export function withFlagReference(document: string): string {
  const [before, rest, ...more] = document.split(REFERENCE_BEGIN);
  const [, after, ...others] = (rest ?? "").split(REFERENCE_END);
  if (after === undefined || more.length > 0 || others.length > 0) {
    throw new Error(
      `docs/flags.md needs one ${REFERENCE_BEGIN} and one ${REFERENCE_END} behind it`,
    );
  }
  // deno fmt would pad the columns to the longest cell.
  return `${before}${REFERENCE_BEGIN}\n<!-- deno-fmt-ignore-start -->\n\n${renderFlagReference()}\n` +
    `<!-- deno-fmt-ignore-end -->\n${REFERENCE_END}${after}`;
}
