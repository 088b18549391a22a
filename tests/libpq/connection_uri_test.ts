import { assert, assertEquals, assertThrows } from "@std/assert";
import { parseConnectionUri } from "../../src/libpq/connection_uri.ts";
import { LIBPQ_SETTINGS } from "../../src/libpq/libpq_settings.ts";
import { UsageError } from "../../src/base/errors.ts";
import { randomFrom, randomSeed } from "../support/random.ts";
import { findLibpqs } from "../support/real_libpq.ts";

/** From libpq's manual and its regression tests' subjects; libpq itself is asked about each below. */
const GOOD: readonly (readonly [uri: string, settings: Record<string, string>])[] = [
  ["postgresql://", {}],
  ["postgres://", {}],
  ["postgresql://localhost", { host: "localhost" }],
  ["postgresql://localhost:5433", { host: "localhost", port: "5433" }],
  ["postgresql://localhost/mydb", { host: "localhost", dbname: "mydb" }],
  ["postgresql://user@localhost", { user: "user", host: "localhost" }],
  ["postgresql://user:secret@localhost", { user: "user", password: "secret", host: "localhost" }],
  ["postgresql://:secret@localhost", { password: "secret", host: "localhost" }],
  ["postgresql://user:@localhost", { user: "user", host: "localhost" }],
  ["postgresql://@localhost", { host: "localhost" }],
  [
    "postgresql://other@localhost/otherdb?connect_timeout=10&application_name=myapp",
    {
      user: "other",
      host: "localhost",
      dbname: "otherdb",
      connect_timeout: "10",
      application_name: "myapp",
    },
  ],
  [
    "postgresql://host1:123,host2:456/somedb?target_session_attrs=any",
    { host: "host1,host2", port: "123,456", dbname: "somedb", target_session_attrs: "any" },
  ],
  ["postgresql://h1,h2:2,h3/d", { host: "h1,h2,h3", port: ",2,", dbname: "d" }],
  ["postgresql://h1,h2", { host: "h1,h2", port: "," }],
  ["postgresql://,", { host: ",", port: "," }],
  ["postgresql://h:/d", { host: "h", dbname: "d" }],
  ["postgresql://:5433/d", { port: "5433", dbname: "d" }],
  ["postgresql:///mydb?host=localhost&port=5433", {
    dbname: "mydb",
    host: "localhost",
    port: "5433",
  }],
  ["postgresql://[2001:db8::1234]/database", { host: "2001:db8::1234", dbname: "database" }],
  ["postgresql://[::1]:5433,[fe80::1%25eth0]", { host: "::1,fe80::1%eth0", port: "5433," }],
  ["postgresql://[::1]?dbname=x", { host: "::1", dbname: "x" }],
  ["postgresql:///dbname?host=/var/lib/postgresql", {
    dbname: "dbname",
    host: "/var/lib/postgresql",
  }],
  ["postgresql://%2Fvar%2Flib%2Fpostgresql/dbname", {
    host: "/var/lib/postgresql",
    dbname: "dbname",
  }],
  ["postgresql://user@localhost:5433/mydb?options=-c%20synchronous_commit%3Doff", {
    user: "user",
    host: "localhost",
    port: "5433",
    dbname: "mydb",
    options: "-c synchronous_commit=off",
  }],
  ["postgres://us%40er:p%3Aa%2Fs%25s%3f@h", { user: "us@er", password: "p:a/s%s?", host: "h" }],
  ["postgres://u:p:a:ss@h", { user: "u", password: "p:a:ss", host: "h" }],
  ["postgres://h/%C3%A9%E2%82%AC?user=é", { host: "h", dbname: "é€", user: "é" }],
  ["postgres://h/a+b?user=a+b", { host: "h", dbname: "a+b", user: "a+b" }],
  ["postgres://h?ssl=true", { host: "h", sslmode: "require" }],
  ["postgres://h?requiressl=1", { host: "h", sslmode: "require" }],
  ["postgres://h?requiressl=0", { host: "h", sslmode: "prefer" }],
  ["postgres://h?user=a&user=b&", { host: "h", user: "b" }],
  ["postgres://a@h?user=b", { host: "h", user: "b" }],
  ["postgres://a:x@h:1/d?host=g&port=2", {
    user: "a",
    password: "x",
    host: "g",
    port: "2",
    dbname: "d",
  }],
  ["postgres://h?dbname=", { host: "h", dbname: "" }],
  ["postgres://h?", { host: "h" }],
  ["postgres://h/", { host: "h" }],
  ["postgres:///?user=me@corp", { user: "me@corp" }],
  ["postgres://h/a/b", { host: "h", dbname: "a/b" }],
  ["postgres://h?us%65r=x", { host: "h", user: "x" }],
  ["postgres://a[b/c]", { host: "a[b", dbname: "c]" }],
];

for (const [uri, settings] of GOOD) {
  Deno.test(`parseConnectionUri reads ${uri}`, () => {
    assertEquals(Object.fromEntries(parseConnectionUri(uri)), settings);
  });
}

const BAD: readonly (readonly [uri: string, message: RegExp])[] = [
  ["postgresql:/x", /^is not a connection URL/],
  ["host=x", /^is not a connection URL/],
  ["postgres://[::1", /^has an IPv6 address without its \]$/],
  ["postgres://[]", /^has an empty IPv6 address$/],
  ["postgres://[::1]x", /^has text after an IPv6 address$/],
  ["postgres://h?nonsense=1", /^has an invalid URI query parameter: "nonsense"$/],
  ["postgres://h?ssl=false", /^has an invalid URI query parameter: "ssl"$/],
  ["postgres://h?user", /^has a query parameter that is not keyword=value: "user"$/],
  ["postgres://h?user=a=b", /^has a query parameter that is not keyword=value: "user"$/],
  ["postgres://h?user=a&&port=1", /^has a query parameter that is not keyword=value: ""$/],
  ["postgres://h/%0", /^has a % that is not followed by two hexadecimal digits, in dbname$/],
  ["postgres://u:%zz@h", /hexadecimal digits, in password$/],
  ["postgres://%00", /^has the forbidden %00 in host$/],
];

for (const [uri, message] of BAD) {
  Deno.test(`parseConnectionUri refuses ${uri}`, () => {
    const error = assertThrows(() => parseConnectionUri(uri), UsageError);
    assert(message.test(error.message), error.message);
  });
}

Deno.test("parseConnectionUri is stricter than libpq where a password was not encoded", () => {
  for (const uri of ["postgres://u:p@ss@h", "postgres://u:1/2@h/d", "postgres://u:pa/ss@h"]) {
    const error = assertThrows(() => parseConnectionUri(uri), UsageError);
    assert(error.message.includes("%40 for @"), error.message);
  }
  assertThrows(() => parseConnectionUri("postgres://u:%ff@h"), UsageError, "not UTF-8");
});

const libpqs = await findLibpqs();
const noLibpq = libpqs.length === 0;
if (noLibpq) console.log("skipped: comparison with libpq, as this machine has none");

Deno.test({
  name: "parseConnectionUri reads as libpq itself does",
  ignore: noLibpq,
  fn() {
    for (const libpq of libpqs) {
      for (const [uri, settings] of GOOD) {
        const theirs = libpq.parse(uri);
        if (typeof theirs === "string") throw new Error(`${uri}: ${theirs}`);
        assertEquals(settings, Object.fromEntries(theirs), `${uri}, ${libpq.path}`);
      }
      for (const [uri] of BAD.filter(([uri]) => /^postgres(ql)?:\/\//.test(uri))) {
        assertEquals(typeof libpq.parse(uri), "string", `${uri}, ${libpq.path}`);
      }
    }
  },
});

Deno.test({
  name: "LIBPQ_SETTINGS has every keyword and variable of libpq",
  ignore: noLibpq,
  fn() {
    for (const libpq of libpqs) {
      for (const [keyword, variable] of libpq.keywords()) {
        const setting = LIBPQ_SETTINGS.get(keyword);
        if (setting?.treatment.kind !== "ignored") {
          assertEquals(setting?.variable, variable, keyword);
        }
      }
    }
  },
});

Deno.test({
  name: "parseConnectionUri reads random URIs as libpq itself does",
  ignore: noLibpq,
  fn() {
    const random = randomFrom(randomSeed());
    const pick = <T>(list: readonly T[]) => list[Math.floor(random() * list.length)]!;
    const pieces = [
      ..."@:/?,[]=&%",
      "%2F",
      "%41",
      "%C3%A9",
      "a",
      "5432",
      "é",
      "::1",
      "user",
      "port",
    ];
    const counts = { same: 0, refused: 0, stricter: 0 };
    for (let i = 0; i < 20_000; i++) {
      let uri = random() < 0.5 ? "postgres://" : pick(GOOD)[0];
      const edits = 1 + Math.floor(random() * 8);
      for (let j = 0; j < edits; j++) {
        const at = 11 + Math.floor(random() * (uri.length - 10));
        uri = uri.slice(0, at) + pick(pieces) + uri.slice(at + (random() < 0.3 ? 1 : 0));
      }
      if (!/^postgres(ql)?:\/\//.test(uri)) continue;
      let ours: Map<string, string> | string;
      try {
        ours = parseConnectionUri(uri);
      } catch (error) {
        if (!(error instanceof UsageError)) throw error;
        ours = error.message;
      }
      for (const libpq of libpqs) {
        const theirs = libpq.parse(uri);
        if (typeof ours !== "string") {
          // The older one does not know the newer one's parameters.
          if (typeof theirs === "string" && /invalid URI query parameter/.test(theirs)) continue;
          assertEquals(ours, theirs, uri);
          counts.same++;
        } else if (typeof theirs === "string") counts.refused++;
        else {
          assert(
            /after its host|port that is not a number|not UTF-8/.test(ours),
            `${uri}: ${ours}`,
          );
          counts.stricter++;
        }
      }
    }
    console.log(counts);
    assert(counts.same > 1000 && counts.refused > 1000);
  },
});
