import { buildInfo } from "../base/build_info.ts";
import { COMMANDS, environmentName, type Flag, TEXT_COMMANDS } from "./flag.ts";
import { MASK_SALT_VARIABLE } from "./flags.ts";
import { byCategory } from "./help.ts";
import {
  COMMAND_TEXTS,
  type Entry,
  type Example,
  EXAMPLES,
  EXIT_CODES,
  SIGNALS,
  SYNOPSIS,
} from "./manual.ts";
import { VERSION } from "../base/version.ts";

/** The manual page, in the macros of man(7); from the flag table and the help. */
export function renderManPage(): string {
  return [
    `.TH PG2KINESIS 1 "${buildInfo().date ?? ""}" "pg2kinesis ${VERSION}"`,
    // A name that is cut at the end of a line cannot be searched for.
    ".nh",
    ".ad l",
    ".SH NAME",
    "pg2kinesis \\- stream the row changes of PostgreSQL to Amazon Kinesis",
    ".SH SYNOPSIS",
    ...[...COMMANDS, ...TEXT_COMMANDS].flatMap((command, index) => [
      ...index === 0 ? [] : [".br"],
      `\\fBpg2kinesis ${command}\\fR${synopsis(SYNOPSIS[command])}`,
    ]),
    ".SH DESCRIPTION",
    ...DESCRIPTION.flatMap((text, index) => [...index === 0 ? [] : [".PP"], ...prose(text)]),
    ".SS Commands",
    ...[...COMMANDS, ...TEXT_COMMANDS].flatMap((command) => [
      ".TP",
      `\\fB${command}\\fR`,
      ...prose(capital(COMMAND_TEXTS[command]) + "."),
    ]),
    ".SH OPTIONS",
    ...byCategory().flatMap(([title, group]) => [
      `.SS "${escape(title)}"`,
      ...group.flatMap(option),
    ]),
    ".SH ENVIRONMENT",
    ...ENVIRONMENT.flatMap(entry),
    ".SH SIGNALS",
    ...SIGNALS.map(asSentence).flatMap(entry),
    '.SH "EXIT STATUS"',
    ...COMMANDS.flatMap((command) => [
      `.SS "pg2kinesis ${command}"`,
      ...EXIT_CODES[command].map(asSentence).flatMap(entry),
    ]),
    ".SH EXAMPLES",
    ".nf",
    ...[...COMMANDS, ...TEXT_COMMANDS].flatMap((command) => EXAMPLES[command])
      .flatMap((example, index) => [...index === 0 ? [] : [".sp"], ...exampleLines(example)]),
    ".fi",
    '.SH "SEE ALSO"',
    ".BR psql (1),",
    ".BR pg_recvlogical (1)",
    "",
  ].join("\n");
}

const DESCRIPTION = [
  "`pg2kinesis` reads a logical replication slot of PostgreSQL and publishes every committed row " +
  "change to an Amazon Kinesis data stream, in commit order, and loses nothing in a crash. " +
  "It runs in the foreground and logs to stderr. The slot is its only state: after a stop or a " +
  "crash it continues where it was.",
  "The word `run` may be omitted.",
];

const ENVIRONMENT: readonly Entry[] = [
  [
    "PG2KINESIS_*",
    "Every option can be set by a variable: `PG2KINESIS_` and its name in upper case, such as " +
    "`PG2KINESIS_STREAM_NAME`. The option wins. A switch is true or false; `--no-create-slot` " +
    "turns off what a variable turned on. Lists are separated by commas.",
  ],
  [MASK_SALT_VARIABLE, "The salt of `--mask-column`."],
  [
    "PGPASSWORD, PGSERVICE, PGSSLMODE, …",
    "As for psql. A password is never an option: it comes from `PGPASSWORD`, from `~/.pgpass`, or from " +
    "the URL in `PG2KINESIS_PG_URL`.",
  ],
  ["AWS_REGION, AWS_PROFILE, …", "As for every tool that uses an AWS SDK."],
];

function option(flag: Flag<unknown>): string[] {
  const letter = flag.letter === undefined ? "" : `\\fB${escape(`-${flag.letter}`)}\\fR, `;
  const value = flag.placeholder === undefined ? "" : ` \\fI${escape(flag.placeholder)}\\fR`;
  const fallback = flag.defaultText === undefined ? "" : ` Default: \`${flag.defaultText}\`.`;
  const variable = flag.inEnvironment ? ` Variable: \`${environmentName(flag)}\`.` : "";
  return [
    ".TP",
    `${letter}\\fB${escape(`--${flag.name}`)}\\fR${value}`,
    ...prose(flag.long + fallback + variable),
  ];
}

function entry([term, meaning]: Entry): string[] {
  return [".TP", `\\fB${escape(term)}\\fR`, ...prose(meaning)];
}

const asSentence = ([term, meaning]: Entry): Entry => [term, `${capital(meaning)}.`];

const exampleLines = ({ comment, lines }: Example): string[] =>
  [...comment === undefined ? [] : [`# ${comment}`], ...lines].map(escape).map(startSafe);

/** Words in brackets or alone stand for something else; what is between bars is typed. */
function synopsis(text: string): string {
  if (text === "") return "";
  return ` ${escape(text).replace(/[a-z]+/g, text.startsWith("[") ? "\\fI$&\\fR" : "\\fB$&\\fR")}`;
}

/** The greatest length of an input line: man's checkers find fault with more than 80 bytes. */
const LINE_BYTES = 80;

/** A paragraph of the flag table's Markdown: each sentence begins a line, as roff wants it. */
function prose(markdown: string): string[] {
  const lines: string[] = [];
  for (const sentence of roff(markdown).split(/(?<=[.:;!?](?:\)|\\fR)*) /)) {
    let line = "";
    for (const word of sentence.split(" ")) {
      if (line !== "" && line.length + 1 + word.length > LINE_BYTES) {
        lines.push(line);
        line = word;
      } else line = line === "" ? word : `${line} ${word}`;
    }
    lines.push(line);
  }
  return lines.map(startSafe);
}

/** Markdown's code and strong text in bold. */
function roff(markdown: string): string {
  return escape(markdown).replace(/`([^`]*)`|\*\*([^*]*)\*\*/g, "\\fB$1$2\\fR");
}

/** What roff would not print as it is. */
function escape(text: string): string {
  return text.replaceAll("\\", "\\e").replaceAll("-", "\\-").replaceAll("~", "\\(ti")
    .replaceAll("^", "\\(ha").replaceAll("'", "\\(aq")
    .replace(
      /[^\p{ASCII}]/gu,
      (char) => `\\[u${char.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0")}]`,
    );
}

/** A line that begins with a dot would be a request. */
const startSafe = (line: string) => /^[.']/.test(line) ? `\\&${line}` : line;

const capital = (text: string) => text[0]!.toUpperCase() + text.slice(1);
