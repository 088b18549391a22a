import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { parseConfigFile } from "../../src/cli/config_file.ts";
import { changedKeys, watchConfig } from "../../src/cli/config_watch.ts";
import { environmentName, type Flag } from "../../src/cli/flag.ts";
import { type FlagId, flagIds, flags } from "../../src/cli/flags.ts";
import { parseCommandLine } from "../../src/cli/parse.ts";
import { UsageError } from "../../src/base/errors.ts";
import { logged } from "../support/logs.ts";
import { waitFor } from "../support/wait.ts";
import { ROWS } from "./flag_rows.ts";
import { hostWith, parseRun, usageError } from "../support/command_line.ts";

const CONFIG = ["--config", "/shop.toml"];
const file = (text: string) => ({ "/shop.toml": text });

/** What a file is blamed for; one line that begins with its name. */
function blamed(text: string): string {
  const message = usageError(CONFIG, {}, file(text));
  assert(message.startsWith("/shop.toml"), message);
  return message.slice("/shop.toml".length);
}

for (const [id, row] of Object.entries(ROWS)) {
  const flag: Flag<unknown> = flags[id as FlagId];
  if (id === "config") continue;
  Deno.test(`a configuration file: ${flag.name} as on the command line, which wins, as does its variable`, () => {
    const others = Object.fromEntries((row.files ?? []).map((path) => [path, ""]));
    const see = (value: string, args: readonly string[] = [], env = {}) =>
      row.see(
        parseRun([...CONFIG, ...args], { ...row.env, ...env }, {
          ...others,
          ...file(`${flag.name} = ${value}`),
        }).options,
      );
    const quoted = (text: string) =>
      flag.placeholder === undefined && /^(true|false)$/.test(text) ? text : JSON.stringify(text);
    for (const [text, value] of row.good) {
      assertEquals(see(quoted(text)), value);
      if (flag.repeatable) assertEquals(see(`[${quoted(text)}]`), value);
      if (/^[1-9]\d*$/.test(text)) assertEquals(see(text), value, "as a number");
    }
    const [[first, value], [last]] = [row.good[0]!, row.good.at(-1)!];
    if (flag.cumulative) return;
    assertEquals(see(quoted(last), [`--${flag.name}=${first}`]), value);
    assertEquals(see(quoted(last), [], { [environmentName(flag)]: first }), value);
  });

  Deno.test(`a configuration file: what is wrong with ${flag.name} names the key and the file`, () => {
    for (const [text, message] of row.bad ?? []) {
      const others = Object.fromEntries((row.files ?? []).map((path) => [path, ""]));
      const value = JSON.stringify(text);
      const found = usageError(CONFIG, row.env, {
        ...others,
        ...file(`${flag.name} = ${value}`),
      });
      // A row's pattern may begin with the flag itself.
      if (!message.source.startsWith("^")) assertMatch(found, message);
      assert(found.startsWith(`${flag.name} in /shop.toml`), found);
    }
  });
}

Deno.test("a configuration file: comments, lists, numbers, switches and a byte order mark", () => {
  const { options, warnings } = parseRun(
    CONFIG,
    {},
    file(
      "\uFEFF# the shop\nstream-name = 'orders' # its stream\npg-port = 5433\ncreate-slot = true\n" +
        "include-table = [\n  'public.a,b',\n  \"public.c\",\n]\noperations = 'insert, delete'\n",
    ),
  );
  assertEquals(options.stream.name, "orders");
  assertEquals(options.postgres.hosts[0]?.port, 5433);
  assertEquals(options.slot.create, true);
  assertEquals(options.format.includeTables, ["public.a,b", "public.c"]);
  assertEquals([...options.format.operations], ["insert", "delete"]);
  assertEquals(warnings, []);
});

Deno.test("a configuration file is named by its variable too", () => {
  const { options } = parseRun(
    [],
    { PG2KINESIS_CONFIG: "/shop.toml" },
    file("stream-name = 'orders'"),
  );
  assertEquals(options.stream.name, "orders");
});

Deno.test("a configuration file: a switch that it turns on is turned off by the command line", () => {
  const off = parseRun(
    [...CONFIG, "--no-create-stream"],
    {},
    file("create-stream = true"),
  );
  assertEquals(off.options.stream.create, false);
});

Deno.test("a configuration file: a flag without effect is a remark, not an error", () => {
  const { warnings } = parseRun(CONFIG, {}, file("shard-count = 4"));
  assertEquals(warnings, ["shard-count in /shop.toml has no effect without --create-stream"]);
});

Deno.test("a configuration file: a key of another command is passed over, here and there", () => {
  const text =
    "follow = true\nfrom = 2026-11-28T08:00:00Z\nslot-failover = true\ncreate-slot = true";
  assertEquals(parseRun(CONFIG, {}, file(text)).options.slot.failover, true);
  const tail = parseCommandLine(["tail", ...CONFIG], {}, hostWith(file(text)));
  if (tail.kind !== "tail") throw new Error(tail.kind);
  assertEquals(tail.options.follow, true);
  assertEquals(tail.options.from, { kind: "time", atMs: Date.parse("2026-11-28T08:00:00Z") });
});

Deno.test("a configuration file: what is wrong with it is said in one line, without its values", () => {
  const cases: readonly (readonly [text: string, message: RegExp])[] = [
    ["stream_name = 'x'", /^: there is no key "stream_name"; did you mean stream-name\?$/],
    ["stream-nam = 'x'", /^: there is no key "stream-nam"; did you mean stream-name\?$/],
    ["host = 'x'", /^: there is no key "host"; did you mean pg-host\?$/],
    ["d = 'shop'", /^: there is no key "d"; did you mean pg-dbname\?$/],
    ["9 = 'shop'", /^: there is no key "9"$/],
    ["pg-passwort = 'hunter22'", /^: there is no key "pg-passwort"; put the password into/],
    [
      "aws-secret-access-key = 'hunter22'",
      /^: there is no key .*; AWS's settings come from its own/,
    ],
    ["# a\nstream-name = 'a\uFFFD'", /^: line 2 is not UTF-8; save the file as UTF-8$/],
    [
      "[[route]]\npattern = 'a.b'\nstream = 'x'\nlinger = '1s'",
      /^: route: there is no key "linger" in it; what follows a \[\[table\]\] belongs to it, so write/,
    ],
    ["zzzzzzzz = 1", /^: there is no key "zzzzzzzz"$/],
    ["__proto__ = 1", /^/],
    ["constructor = 1", /^: there is no key "constructor"/],
    ["region = 'eu-west-1'", /^: there is no key "region": .*AWS_REGION/],
    ["password = 'hunter22'", /^: there is no key "password"; put the password into PGPASSWORD/],
    ["pg-password = 'hunter22'", /^: there is no key "pg-password"; put the password/],
    [
      "mask-salt = 'hunter22'",
      /^: there is no key "mask-salt"; the salt is in PG2KINESIS_MASK_SALT$/,
    ],
    ["[kinesis]\nstream-name = 'x'", /^: there is no section \[kinesis\]/],
    ["config = 'other.toml'", /^: config works on the command line only$/],
    ["help = true", /^: help works on the command line only$/],
    ["create-slot = 'perhaps'", /^/],
    ["stream-name = true", /^: stream-name: needs a value \(NAME\), found true$/],
    ["stream-name = ''", /^: stream-name: needs a value, found none$/],
    ["aggregation = ['kpl', 'none']", /^: aggregation: takes one value, found a list$/],
    ["stream-name = { a = 1 }", /^: stream-name: takes a text, a number, true or false, found/],
    ["include-table = [['a.b']]", /^: include-table: takes a text, .* found a table or a list$/],
    ["stream-name = 'a'\nstream-name = 'b'", /^, line 2, column \d+: not TOML: trying to redefine/],
    ["pg-url = 'postgresql://a:hunter22@h/d", /^, line 1, column \d+: not TOML: /],
    [
      "stream-name = orders",
      /^, line 1, column \d+: not TOML: invalid value; a line is like stream-name = "orders"$/,
    ],
  ];
  for (const [text, message] of cases) {
    if (message.source === "^") {
      assertMatch(usageError(CONFIG, {}, file(text)), /\/shop\.toml/);
      continue;
    }
    const found = blamed(text);
    assertMatch(found, message);
    assert(!found.includes("hunter22"), found);
  }
});

Deno.test("a configuration file that is not there, or cannot be read, is wrong usage", () => {
  assertEquals(usageError(CONFIG), "there is no configuration file /shop.toml");
  const folder = {
    ...hostWith(),
    readTextFile() {
      throw new Error("Is a directory (os error 21)");
    },
  };
  assertThrows(
    () => parseCommandLine(["check", ...CONFIG], {}, folder),
    UsageError,
    "the configuration file /shop.toml cannot be read: Is a directory (os error 21)",
  );
});

Deno.test("a configuration file with a password is to be its owner's alone", () => {
  const text = "pg-url = 'postgresql://a:hunter22@h/d'";
  const parse = (othersMayRead: boolean) => {
    const host = { ...hostWith(file(text)), othersMayRead: () => othersMayRead };
    const command = parseCommandLine(CONFIG, {}, host);
    if (command.kind !== "run") throw new Error(command.kind);
    assertEquals(command.options.postgres.password, "hunter22");
    return command.warnings;
  };
  assertEquals(parse(false), []);
  assertMatch(parse(true).join(), /^pg-url in \/shop\.toml has a password, .* chmod 600/);
});

Deno.test("a configuration file: what changed is known by its keys", () => {
  const before = parseConfigFile("linger = '1s'\ncreate-slot = true\ninclude-table = 'a.b'", "/f");
  const after = parseConfigFile("linger = '2s'\ninclude-table = ['a.b']\nstandby = true", "/f");
  assertEquals(changedKeys(before, before), []);
  assertEquals(changedKeys(before, after), ["linger", "create-slot", "standby"]);
});

Deno.test("a configuration file can say whatever a variable can", () => {
  for (const id of flagIds) {
    const flag: Flag<unknown> = flags[id];
    if (!flag.inEnvironment || id === "config") continue;
    const value = flag.placeholder === undefined ? "true" : "'x'";
    const { texts } = parseConfigFile(`${flag.name} = ${value}`, "/f");
    assertEquals([...texts.keys()], [id]);
  }
});

Deno.test({
  name:
    "watchConfig says on SIGHUP what of the file needs a restart, and nothing when nothing does",
  ignore: Deno.build.os === "windows",
  async fn() {
    const path = await Deno.makeTempFile({ suffix: ".toml" });
    // Keeps the process alive, and is called behind the watch.
    let heard = 0;
    const listener = () => heard++;
    await Deno.writeTextFile(path, "linger = '1s'\npg-url = 'postgresql://a:hunter22@h/d'");
    const begun = parseConfigFile(await Deno.readTextFile(path), path);
    const lines = await logged(async (lines) => {
      using _watch = watchConfig(begun);
      Deno.addSignalListener("SIGHUP", listener);
      const hangUp = async () => {
        const before = heard;
        Deno.kill(Deno.pid, "SIGHUP");
        await waitFor(() => heard > before, { what: "the signal" });
        return lines.length;
      };
      assertEquals(await hangUp(), 0);
      await Deno.writeTextFile(path, "linger = '2s'\npg-url = 'postgresql://a:other222@h/d'");
      assertEquals(await hangUp(), 1);
      await Deno.writeTextFile(path, "linger = hunter22");
      assertEquals(await hangUp(), 2);
      await Deno.remove(path);
      assertEquals(await hangUp(), 3);
    }).finally(() => Deno.removeSignalListener("SIGHUP", listener));
    assertEquals(lines.map(({ level }) => level), ["warning", "warning", "warning"]);
    assertEquals(lines.map(({ text }) => text), [
      `the configuration file ${path} was changed (linger, pg-url); restart to apply it`,
      `the configuration file ${path} was changed, and a restart would fail: ${path}, line 1, ` +
      'column 10: not TOML: invalid value; a line is like stream-name = "orders"; the run keeps its settings',
      `the configuration file ${path} is gone; the run keeps its settings`,
    ]);
  },
});

Deno.test("a configuration file: a run has one stream for what no route takes, tail has several", () => {
  const text = "stream-name = ['a', 'b']";
  assertEquals(
    usageError(CONFIG, {}, file(text)),
    "stream-name in /shop.toml: takes one value, found 2; --route sends tables to other streams",
  );
  const tail = parseCommandLine(["tail", ...CONFIG], {}, hostWith(file(text)));
  if (tail.kind !== "tail") throw new Error(tail.kind);
  assertEquals(tail.options.streams, ["a", "b"]);
});
