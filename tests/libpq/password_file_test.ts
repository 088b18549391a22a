import { assertEquals } from "@std/assert";
import { findPassword, passwordFromFile } from "../../src/libpq/password_file.ts";

const LOGIN = { host: "db.example", port: 5432, database: "shop", user: "reader" };

Deno.test("findPassword takes the first line that matches, as libpq does", () => {
  const cases: readonly [text: string, password: string | undefined][] = [
    ["db.example:5432:shop:reader:one\ndb.example:5432:shop:reader:two", "one"],
    ["#db.example:5432:shop:reader:no\n*:*:*:*:yes", "yes"],
    ["other:5432:shop:reader:no\n*:5433:*:*:no\n*:*:sho:*:no\n*:*:*:read:no", undefined],
    ["*:*:*:*:p", "p"],
    [String.raw`*:*:*:*:a\:b\\c`, String.raw`a:b\c`],
    ["*:*:*:*:ends here:not here", "ends here"],
    ["*:*:*:*: with spaces ", " with spaces "],
    ["*:*:*:*:\r\n", undefined],
    ["*:*:*:*:windows\r\n", "windows"],
    ["*:*:*", undefined],
    ["", undefined],
  ];
  for (const [text, password] of cases) assertEquals(findPassword(text, LOGIN), password, text);
});

Deno.test("findPassword reads escaped names, IPv6 addresses and sockets", () => {
  assertEquals(findPassword(String.raw`\:\:1:*:*:*:six`, { ...LOGIN, host: "::1" }), "six");
  assertEquals(findPassword(String.raw`*:*:a\:b:*:db`, { ...LOGIN, database: "a:b" }), "db");
  const socket = { ...LOGIN, host: "/run/postgresql" };
  assertEquals(findPassword("localhost:*:*:*:local", socket), "local");
  assertEquals(findPassword("/run/postgresql:*:*:*:path", socket), "path");
});

Deno.test("passwordFromFile does not use a file that others may read", async () => {
  const path = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(path, "*:*:*:*:secret");
    await Deno.chmod(path, 0o600);
    assertEquals(await passwordFromFile(LOGIN, path), "secret");
    await Deno.chmod(path, 0o640);
    assertEquals(await passwordFromFile(LOGIN, path), undefined);
  } finally {
    await Deno.remove(path);
  }
  assertEquals(await passwordFromFile(LOGIN, path), undefined);
});
