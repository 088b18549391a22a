import { buildInfo } from "./build_info.ts";
import { COMMAND_TEXTS } from "./completions.ts";
import { COMMANDS, environmentName, type Flag, TEXT_COMMANDS } from "./flag.ts";
import { byCategory, renderHelp } from "./help.ts";
import { MASK_SALT_VARIABLE } from "./flags.ts";
import { VERSION } from "./version.ts";

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
      `\\fBpg2kinesis ${command}\\fR${SYNOPSIS[command]}`,
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
    ...ENVIRONMENT.flatMap(([name, text]) => [".TP", `\\fB${escape(name)}\\fR`, ...prose(text)]),
    ".SH SIGNALS",
    ...asItStands("Signals"),
    '.SH "EXIT STATUS"',
    ...asItStands("Exit codes"),
    ".SH EXAMPLES",
    ...asItStands("Examples"),
    '.SH "SEE ALSO"',
    ".BR psql (1),",
    ".BR pg_recvlogical (1)",
    "",
  ].join("\n");
}

const SYNOPSIS = {
  run: " [\\fIoptions\\fR]",
  check: " [\\fIoptions\\fR]",
  tail: " [\\fIoptions\\fR]",
  completions: " \\fIshell\\fR",
  man: "",
} as const;

const DESCRIPTION = [
  "`pg2kinesis` reads a logical replication slot of PostgreSQL and publishes every committed row " +
  "change to an Amazon Kinesis data stream: in commit order, with nothing lost whatever crashes. " +
  "It runs in the foreground and logs to stderr. The slot is its only state: after a stop or a " +
  "crash it goes on where it was.",
  "The word `run` may be left out.",
];

const ENVIRONMENT: readonly (readonly [name: string, text: string])[] = [
  [
    "PG2KINESIS_*",
    "Every option can be given as a variable: `PG2KINESIS_` and its name in capital letters, such as " +
    "`PG2KINESIS_STREAM_NAME`. The option wins. A switch is true or false, and `--no-create-slot` " +
    "turns off what a variable turned on. Lists are separated by commas.",
  ],
  [MASK_SALT_VARIABLE, "The salt of `--mask-column`."],
  [
    "PGPASSWORD, PGSERVICE, PGSSLMODE, …",
    "As for psql. A password is never an option: it comes from `PGPASSWORD`, from `~/.pgpass` or with " +
    "the URL in `PG2KINESIS_PG_URL`.",
  ],
  ["AWS_REGION, AWS_PROFILE, …", "As for every tool that uses AWS's SDK."],
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

/** A section of the help, line for line. */
function asItStands(title: string): string[] {
  const section = new RegExp(`^${title}:\\n((?:(?: .*)?\\n)+)`, "m").exec(renderHelp())?.[1];
  if (section === undefined) throw new Error(`the help has no section ${title}`);
  return [".nf", ...section.trimEnd().split("\n").map(line), ".fi"];

  function line(text: string): string {
    // An empty line is a macro of its own here.
    return text === "" ? ".sp" : startSafe(escape(text.replace(/^ {2}/, "")));
  }
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
