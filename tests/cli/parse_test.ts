import { assert, assertEquals, assertMatch } from "@std/assert";
import { parseCommandLine } from "../../src/cli/parse.ts";
import { hostWith, parseRun, usageError } from "../support/command_line.ts";

Deno.test("parseCommandLine takes the word run, or none", () => {
  assertEquals(parseRun(["run", "-s", "x"]).options.slot.name, "x");
  assertEquals(parseRun(["-s", "x", "run"]).options.slot.name, "x");
  assertEquals(parseRun(["--", "run"]).options.slot.name, "pg2kinesis");
  assertEquals(parseRun([]).options.slot.name, "pg2kinesis");
});

Deno.test("parseCommandLine gives help and version before anything is complained about", () => {
  for (
    const args of [["--help"], ["run", "--help"], ["--bogus", "--help"], ["-p", "x", "--help"]]
  ) {
    assertEquals(parseCommandLine(args, {}, hostWith()).kind, "help");
  }
  assertEquals(parseCommandLine(["--version"], {}, hostWith()).kind, "version");
  assertEquals(parseCommandLine(["--help", "--version"], {}, hostWith()).kind, "help");
});

Deno.test("parseCommandLine does not take help or version from the environment", () => {
  const { warnings } = parseRun([], { PG2KINESIS_HELP: "1", PG2KINESIS_VERSION: "1.2.3" });
  assertEquals(warnings, []);
});

Deno.test("parseCommandLine keeps values as they are", () => {
  assertEquals(parseRun(["-d", "12"]).options.postgres.database, "12");
  assertEquals(parseRun(["-d", "a,b=c d"]).options.postgres.database, "a,b=c d");
  assertEquals(parseRun(["-d=a=b"]).options.postgres.database, "a=b");
  assertEquals(parseRun(["--pg-dbname=--x"]).options.postgres.database, "--x");
  assertEquals(parseRun(["-d", "true"]).options.postgres.database, "true");
  assertEquals(parseRun(["-d", "-"]).options.postgres.database, "-");
  assertEquals(parseRun(["--table-pat", "a\nb"]).options.format.tablePattern?.source, "a\\nb");
});

Deno.test("parseCommandLine takes the last of a flag that is given several times, as psql does", () => {
  const { options } = parseRun([
    "-d",
    "a",
    "--pg-dbname=b",
    "-dc",
    "--full-change",
    "--no-full-change",
  ]);
  assertEquals([options.postgres.database, options.format.fullChange], ["c", false]);
  assertEquals(
    parseRun(["-d", "a", "-d", "b"], { PG2KINESIS_PG_DBNAME: "z" }).options.postgres.database,
    "b",
  );
});

Deno.test("parseCommandLine takes a value in every form that psql takes", () => {
  for (
    const args of [["-s", "x"], ["-sx"], ["-s=x"], ["--pg-slot-name", "x"], ["--pg-slot-name=x"]]
  ) {
    const { options } = parseRun(["-u", "a", ...args, "--full-change", "run"]);
    assertEquals([options.slot.name, options.format.fullChange], ["x", true], args.join(" "));
  }
  assertMatch(usageError(["--pg-port=-5"]), /^--pg-port: "-5" is not/);
  assertMatch(usageError(["-p-5"]), /^--pg-port: "-5" is not/);
});

Deno.test("parseCommandLine takes an empty host as none, as the Python tool documents", () => {
  for (const args of [["-h", ""], ["--pg-host="], ["--pg-host", ""]]) {
    assertEquals(parseRun([...args, "-s", "x"]).options.postgres.hosts[0]?.host, "localhost");
  }
});

const MISTAKES: readonly (readonly [args: readonly string[], message: RegExp])[] = [
  [["--tabel-pat", "x"], /^there is no flag --tabel-pat; did you mean --table-pat\?$/],
  [["--create_slot"], /^there is no flag --create_slot; did you mean --create-slot\?$/],
  [["--pg-dbnam=x"], /^there is no flag --pg-dbnam; did you mean --pg-dbname\?$/],
  [["--host", "x"], /did you mean --pg-host\?$/],
  [["--username", "x"], /did you mean --pg-user\?$/],
  [["--dbname", "x"], /did you mean --pg-dbname\?$/],
  [["--region", "x"], /^there is no flag --region: .* set AWS_REGION, or give the stream's ARN$/],
  [["--profile=x"], /^there is no flag --profile: .* set AWS_PROFILE$/],
  [
    ["tail", "--endpoint-url", "x"],
    /^there is no flag --endpoint-url: .*AWS_ENDPOINT_URL_KINESIS$/,
  ],
  [["--bogus"], /^there is no flag --bogus$/],
  [["-U", "x"], /^there is no flag -U; did you mean -u \(--pg-user\)\?$/],
  [["-x"], /^there is no flag -x$/],
  [["--no-full-chang"], /^there is no flag --no-full-chang; did you mean --full-change\?$/],
  [
    ["--no-full-change=true"],
    /^--no-full-change takes no value; write --full-change=true or =false$/,
  ],
  [["--_=x"], /^there is no flag --_$/],
  [["--=x"], /^there is no flag --$/],
  [["-5"], /^there is no flag -5$/],
  [["-"], /^unknown command "-"; there are/],
  [["--bogus", "-d"], /^there is no flag --bogus$/],
  [["-d", "--", "x"], /^-d, --pg-dbname needs a value/],
  [["--no-pg-host"], /^there is no flag --no-pg-host; did you mean --pg-host\?$/],
  [["--constructor=1"], /^there is no flag --constructor\b/],
  [["--__proto__.x=1"], /^there is no flag --__proto__.x\b/],
  [["--pg-dbname"], /^-d, --pg-dbname needs a value: --pg-dbname NAME$/],
  [["-d"], /^-d, --pg-dbname needs a value: --pg-dbname NAME$/],
  [["-d", "--create-slot"], /^-d, --pg-dbname needs a value/],
  [["-d", ""], /^-d, --pg-dbname needs a value/],
  [["-d", "-h", "x"], /^-d, --pg-dbname needs a value/],
  [["--stream-name="], /^-k, --stream-name needs a value/],
  [["-h"], /^-h, --pg-host needs a value: --pg-host HOST; help is --help$/],
  [["--table-pat", "-x"], /needs a value: .*; one that begins with - is written --table-pat=-…$/],
  [["--full-change="], /^--full-change needs a value/],
  [
    ["runn"],
    /^unknown command "runn"; did you mean run\? There are run, check, backfill, tail, plan, health, completions, man, schema; run/,
  ],
  [["shop"], /^unknown command "shop"; there are run, check/],
  [["help"], /^unknown command "help"; did you mean --help\?$/],
  [["version"], /^unknown command "version"; did you mean --version\?$/],
  [["run", "check"], /^unexpected argument "check"; did you mean pg2kinesis check\?$/],
  [["run", "run"], /^unexpected argument "run"; did you mean pg2kinesis run\?$/],
  [["run", "shop"], /^unexpected argument "shop"$/],
  [
    ["--create-slot", "false"],
    /^the value of a switch follows an =: write --create-slot=false, or --no-create-slot$/,
  ],
  [["run", "-s", "a", "--create-slot", "on"], /^the value of a switch .* --create-slot=on,/],
  [["-n", "5"], /^--lines is no flag of pg2kinesis run, but of pg2kinesis tail$/],
  [["--", "--create-slot"], /^unknown command "--create-slot"/],
  [
    ["--full-change", "-f", "CSV"],
    /^--full-change goes with the message formatter CSVPayload only, not with CSV, which has no place for columns$/,
  ],
  [
    ["--full-change", "-f", "JSON"],
    /CSVPayload only, not with JSON, which gets all columns anyway$/,
  ],
  [["--full-change", "-f", "./x.js"], /not with \.\/x\.js, which gets all columns anyway$/],
  [["--shard-count", "2"], /^--shard-count has no effect without --create-stream$/],
  [
    ["--pg-publication", "p"],
    /^--pg-publication has no effect without --pg-slot-output-plugin pgoutput$/,
  ],
  [["--slot-failover"], /^--slot-failover has no effect without --create-slot or --recreate-slot$/],
  [
    ["--standby", "--recreate-slot"],
    /^--standby and --recreate-slot exclude each other: .*recreate the slot once/,
  ],
  [
    ["--create-publication", "--create-slot"],
    /^--create-publication has no effect without --pg-slot-output-plugin pgoutput$/,
  ],
  [
    ["--create-publication", "--pg-slot-output-plugin", "pgoutput"],
    /^--create-publication has no effect without --create-slot or --recreate-slot$/,
  ],
  [
    "--create-publication --create-slot --pg-slot-output-plugin pgoutput".split(" ")
      .concat("--pg-publication=a", "--pg-publication=b"),
    /^--create-publication creates one publication, and --pg-publication names 2; name one$/,
  ],
  [["--mask-column", "a.b.c"], /^--mask-column needs a salt.*set PG2KINESIS_MASK_SALT/],
];

for (const [args, message] of MISTAKES) {
  Deno.test(`parseCommandLine refuses ${JSON.stringify(args.join(" "))}`, () => {
    assertMatch(usageError(args), message);
  });
}

Deno.test("parseCommandLine never shows a password", () => {
  const secret = "hunter2";
  for (
    const args of [
      [`--pg-password=${secret}`],
      ["--pg-password", secret],
      [`--password=${secret}`],
      ["-W", secret],
      [`--pg-passwd=${secret}`],
      [`postgres://u:${secret}@h/d`],
      ["run", `postgres://u:${secret}@h/d`],
      ["-d", `postgres://u:${secret}@h/d`],
      ["--pg-url", `postgers://u:${secret}@h/d`],
      ["--pg-url", `postgres://u:${secret}@h:port/d`],
      ["--pg-url", `postgres://u:${secret}@h/d?nonsense=1`],
      ["--pg-url", `postgres://u:${secret}@h/d?password=${secret}&password`],
      ["--pg-url", `postgres://u:${secret}%zz@h/d`],
      ["--pg-url", `postgres://u:%ff${secret}@h/d`],
      ["--pg-url", `postgres://u:${secret}@h/d?sslpassword=${secret}`],
      // Passwords that were not percent-encoded: parts of them stand where other things belong.
      ["--pg-url", `postgres://u:a@${secret}@h/d`],
      ["--pg-url", `postgres://u:a/${secret}@h/d`],
      ["--pg-url", `postgres://u:1/${secret}@h/d`],
      ["--pg-url", `postgres://u:1/a?${secret}@h/d`],
      ["--pg-url", `postgres://u:1/a?${secret}=5@h/d`],
      ["--pg-url", `postgres://u:1?${secret}/x=5@h/d`],
      ["--pg-url", `postgres://u:${secret}:x/y@h/d`],
      ["--pg-url", `postgres://u:a[${secret}/@h/d`],
    ]
  ) {
    const message = usageError(args);
    assert(!message.includes(secret), message);
  }
});

Deno.test("parseCommandLine explains where a password goes instead of --pg-password", () => {
  assertMatch(
    usageError(["--pg-password", "x"]),
    /^--pg-password does not exist, since every user .*PGPASSWORD or ~\/\.pgpass$/,
  );
  assertMatch(
    parseRun([], { PG2KINESIS_PG_PASSWORD: "hunter2" }).warnings.join(),
    /^PG2KINESIS_PG_PASSWORD is not read; put the password into PGPASSWORD or ~\/\.pgpass$/,
  );
});

Deno.test("parseCommandLine warns of a password that is typed in a URL, not of one in a variable", () => {
  const url = "postgres://u:hunter2@h/d";
  const typed = parseRun(["--pg-url", url]);
  assertEquals(typed.options.postgres.password, "hunter2");
  assertMatch(
    typed.warnings.join(),
    /^every user of this machine can read the password in --pg-url/,
  );
  assertEquals(parseRun([], { PG2KINESIS_PG_URL: url }).warnings, []);
  assertEquals(parseRun(["--pg-url", "postgres://u@h/d"]).warnings, []);
});

Deno.test("parseCommandLine warns of variables that look like ours and are not", () => {
  assertEquals(parseRun([], { PG2KINESIS_STREAM_NAM: "x", PG2KINESIS_MASK_SALT: "y" }).warnings, [
    "PG2KINESIS_STREAM_NAM is not a setting; did you mean PG2KINESIS_STREAM_NAME?",
  ]);
});

Deno.test("parseCommandLine only remarks on idle flags that stand in the environment", () => {
  const { warnings } = parseRun(["--on-missing-pkey", "stop", "-f", "JSON"], {
    PG2KINESIS_SHARD_COUNT: "2",
    PG2KINESIS_PG_PUBLICATION: "p",
  });
  assertEquals(warnings, [
    "PG2KINESIS_SHARD_COUNT has no effect without --create-stream",
    "PG2KINESIS_PG_PUBLICATION has no effect without --pg-slot-output-plugin pgoutput",
    "--on-missing-pkey has no effect: a format with all columns needs no key",
  ]);
});

Deno.test("parseCommandLine gives pgoutput the publication named like the slot", () => {
  const publications = (...args: string[]) => parseRun(args).options.slot.publications;
  assertEquals(publications("-s", "cdc", "--pg-slot-output-plugin", "pgoutput"), ["cdc"]);
  assertEquals(publications("-s", "cdc", "--pg-slot-output-plugin", "wal2json"), []);
  assertEquals(
    publications("--pg-slot-output-plugin=pgoutput", "--pg-publication=a", "--pg-publication=b"),
    ["a", "b"],
  );
});

Deno.test("parseCommandLine takes --create-slot and --recreate-slot together", () => {
  const { slot } = parseRun(["--create-slot", "--recreate-slot"]).options;
  assertEquals([slot.create, slot.recreate], [true, true]);
});
