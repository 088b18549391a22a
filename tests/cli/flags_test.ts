import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Flag } from "../../src/cli/flag.ts";
import { environmentName } from "../../src/cli/flag.ts";
import { type FlagId, flagIds, flags } from "../../src/cli/flags.ts";
import { ROWS } from "./flag_rows.ts";
import { type Env, parseRun, usageError } from "../support/command_line.ts";

for (const [id, row] of Object.entries(ROWS)) {
  const flag = flags[id as FlagId];
  const files = Object.fromEntries((row.files ?? []).map((path) => [path, ""]));
  const see = (args: string[], env: Env = {}) =>
    row.see(parseRun(args, { ...row.env, ...env }, files).options);

  Deno.test(`flags: --${flag.name} on the command line and in the environment`, () => {
    assertEquals(see([]), row.unset, "not given");
    assertEquals(see([], { [environmentName(flag)]: "" }), row.unset, "empty variable");
    for (const [text, value] of row.good) {
      assertEquals(see([`--${flag.name}=${text}`]), value);
      assertEquals(see([], { [environmentName(flag)]: text }), value, "by variable");
      if (flag.placeholder !== undefined) assertEquals(see([`--${flag.name}`, text]), value);
      if (flag.letter !== undefined) {
        assertEquals(see([`-${flag.letter}`, text]), value);
        assertEquals(see([`-${flag.letter}${text}`]), value);
        assertEquals(see([`-${flag.letter}=${text}`]), value);
      }
    }
    if (flag.placeholder === undefined) {
      assertEquals(see([`--${flag.name}`]), true);
      assertEquals(see([`--no-${flag.name}`], { [environmentName(flag)]: "1" }), false);
    }
    for (const [text, message] of row.bad ?? []) {
      const typed = usageError([`--${flag.name}=${text}`], row.env, files);
      assertMatch(typed, message);
      assert(typed.startsWith(`--${flag.name}`), typed);
      const set = usageError([], { ...row.env, [environmentName(flag)]: text }, files);
      assertMatch(set, message);
      assert(set.startsWith(environmentName(flag)), set);
    }
  });

  const { cumulative = false }: Flag<unknown> = flag;
  if (cumulative) continue;
  Deno.test(`flags: --${flag.name} on the command line wins over the environment`, () => {
    const [first, last] = [row.good[0]!, row.good.at(-1)!];
    assertEquals(
      see([`--${flag.name}=${first[0]}`], { [environmentName(flag)]: last[0] }),
      first[1],
    );
    assertEquals(
      see([`--${flag.name}=${last[0]}`], { [environmentName(flag)]: first[0] }),
      last[1],
    );
  });
}

Deno.test("flags: repeatable ones add up, and are separated by commas in the environment", () => {
  assertEquals(
    parseRun(["--include-table", "a.b", "--include-table=c.*"]).options.format.includeTables,
    ["a.b", "c.*"],
  );
  assertEquals(
    parseRun([], { PG2KINESIS_INCLUDE_TABLE: "a.b, c.*,\nd.e" }).options.format.includeTables,
    ["a.b", "c.*", "d.e"],
  );
  assertEquals(
    [
      ...parseRun(["--operations", "insert", "--operations", "delete, update"]).options.format
        .operations,
    ],
    ["insert", "delete", "update"],
  );
});

Deno.test("flags: routes of the command line come before those of the environment, and these before the file's", () => {
  const { routes } = parseRun(
    ["--route", "a.b=1", "--config", "/f", "--route=c.d=2"],
    { PG2KINESIS_ROUTE: "e.f=3,\ng.h=4" },
    {
      "/f":
        "[[route]]\npattern = 'i.=j'\nstream = '5'\n[[route]]\npattern = 'k,l.*'\nstream = '-'\n",
    },
  ).options.format;
  assertEquals(routes.map(({ glob, stream }) => [glob, stream]), [
    ["a.b", "1"],
    ["c.d", "2"],
    ["e.f", "3"],
    ["g.h", "4"],
    ["i.=j", "5"],
    ["k,l.*", undefined],
  ]);
  const asList = parseRun(["--config", "/f"], {}, { "/f": "route = ['a.b=1', 'c.d=2']" });
  assertEquals(asList.options.format.routes.map(({ stream }) => stream), ["1", "2"]);
});

Deno.test("flags: what is wrong with a route says where it stands", () => {
  assertMatch(usageError(["--route", "a.b=c"], { PG2KINESIS_ROUTE: "x" }), /^PG2KINESIS_ROUTE: /);
  const cases: readonly (readonly [text: string, message: RegExp])[] = [
    [
      "[[route]]\npatern = 'a.b'\nstream = 'c'",
      /^\/f: route: .*"patern".*; did you mean pattern\?$/,
    ],
    ["[[route]]\npattern = 'a.b'", /^\/f: route: the key stream is missing$/],
    ["[[route]]\npattern = 'a.b'\nstream = 3", /^\/f: route: stream needs a text/],
    ["[[route]]\npattern = 'a.b'\nstream = 'c=d'", /^\/f: route: stream cannot hold a =/],
    ["[[route]]\npattern = 'ab'\nstream = 'c'", /^route in \/f: "ab" can match no schema.table/],
    [
      "[[routes]]\npattern = 'a.b'\nstream = 'c'",
      /^\/f: there is no key "routes"; did you mean route\?$/,
    ],
  ];
  for (const [text, message] of cases) {
    assertMatch(usageError(["--config", "/f"], {}, { "/f": text }), message);
  }
});

Deno.test("flags: the letters of the Python tool are kept", () => {
  const letters = Object.fromEntries(
    flagIds.flatMap((id) => {
      const { letter, name, commands }: Flag<unknown> = flags[id];
      return letter === undefined || !commands.includes("run") ? [] : [[letter, name]];
    }),
  );
  assertEquals(letters, {
    d: "pg-dbname",
    h: "pg-host",
    p: "pg-port",
    u: "pg-user",
    s: "pg-slot-name",
    k: "stream-name",
    f: "message-formatter",
  });
});
