import { assert, assertEquals, assertThrows } from "@std/assert";
import { parseServiceFile } from "../../src/libpq/service_file.ts";
import { UsageError } from "../../src/base/errors.ts";
import { usageError } from "../support/command_line.ts";

const HOME = { HOME: "/home/me" };

Deno.test("parseServiceFile gives the first section of that name", () => {
  const text = "[a]\nhost=1\n[b]\nhost = 2\n[a]\nhost=3\n";
  assertEquals(Object.fromEntries(parseServiceFile(text, "a", "f") ?? []), { host: "1" });
  assertEquals(parseServiceFile(text, "c", "f"), undefined);
  assertEquals(parseServiceFile(text, "", "f"), undefined);
});

Deno.test("parseServiceFile names file and line of what it cannot read, without showing it", () => {
  const secret = "hunter2";
  for (
    const [line, message] of [
      [`password ${secret}`, "syntax error; a line is keyword=value"],
      [`pasword=${secret}`, 'there is no connection parameter "pasword"'],
      [`service=${secret}`, "a service cannot name another one"],
      [`ldap://${secret}`, "a service kept in LDAP is not supported"],
    ] as const
  ) {
    const error = assertThrows(
      () => parseServiceFile(`[s]\nhost=x\n${line}\n`, "s", "/f"),
      UsageError,
    );
    assertEquals(error.message, `/f, line 3: ${message}`);
    assert(!error.message.includes(secret));
  }
});

Deno.test("findService says where it looked", () => {
  assertEquals(
    usageError([], { ...HOME, PGSERVICE: "s" }, { "/home/me/.pg_service.conf": "[t]\n" }),
    'the service "s" (PGSERVICE) was not found in /home/me/.pg_service.conf, ' +
      "/etc/postgresql-common/pg_service.conf, /etc/sysconfig/pgsql/pg_service.conf",
  );
  assertEquals(
    usageError([], { ...HOME, PGSERVICE: "s", PGSERVICEFILE: "/nowhere" }),
    "the service file /nowhere was not found; see PGSERVICEFILE",
  );
  assertEquals(
    usageError(["--pg-url", "postgres:///?service=s"], { PGSYSCONFDIR: "/etc/x" }),
    'the service "s" (PGSERVICE) was not found in /etc/x/pg_service.conf',
  );
});
