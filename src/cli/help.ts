import { environmentName, type Flag, FLAG_CATEGORIES, type FlagCategory } from "./flag.ts";
import { flagList, MASK_SALT_VARIABLE } from "./flags.ts";
import { VERSION } from "./version.ts";

/** Help fits a terminal of 80 columns, with one to spare for its cursor. */
export const HELP_WIDTH = 79;

/** Where the flags' texts begin. */
const TEXT_COLUMN = 34;

export function renderHelp(): string {
  return `\
pg2kinesis ${VERSION}: publishes every committed row change of a PostgreSQL database
to an Amazon Kinesis data stream, in commit order.

Usage: pg2kinesis [run] [options]

Examples:
  # The first time: make the slot and the stream, then follow.
  export PGPASSWORD=… AWS_REGION=eu-west-1
  pg2kinesis -h db.example.com -d shop -u replicator --create-slot \\
             -k shop-changes --create-stream --shard-count 2

  # From then on; after a crash or a stop it goes on where it was.
  pg2kinesis -h db.example.com -d shop -u replicator -k shop-changes

  # Whole rows as JSON, of two tables only.
  pg2kinesis -d shop -f JSON --table-pat '^public\\.(orders|customers)$'

${renderFlags()}
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

function renderFlags(): string {
  const groups = byCategory().map(([title, group]) =>
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

function byCategory(): [string, Flag<unknown>[]][] {
  return Object.keys(FLAG_CATEGORIES).map((key) => {
    const category = key as FlagCategory;
    return [
      FLAG_CATEGORIES[category],
      flagList.filter((flag) => flag.category === category),
    ];
  });
}

export const REFERENCE_BEGIN = "<!-- flags:begin -->";
export const REFERENCE_END = "<!-- flags:end -->";

/** The README's reference of all flags: a Markdown table for each group. */
export function renderFlagReference(): string {
  return byCategory().map(([title, group]) =>
    `#### ${title}\n\n| Flag | Default | Meaning |\n|---|---|---|\n` +
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
 * The README with a fresh reference between its markers.
 * @throws {Error} when the markers are not there exactly once, in their order.
 */
export function withFlagReference(readme: string): string {
  const [before, rest, ...more] = readme.split(REFERENCE_BEGIN);
  const [, after, ...others] = (rest ?? "").split(REFERENCE_END);
  if (after === undefined || more.length > 0 || others.length > 0) {
    throw new Error(`the README needs one ${REFERENCE_BEGIN} and one ${REFERENCE_END} behind it`);
  }
  // deno fmt would pad the columns to the longest cell.
  return `${before}${REFERENCE_BEGIN}\n<!-- deno-fmt-ignore-start -->\n\n${renderFlagReference()}\n` +
    `<!-- deno-fmt-ignore-end -->\n${REFERENCE_END}${after}`;
}
