import { assertEquals } from "@std/assert";
import { leftOutBy } from "../../../src/postgres/session/server_warning.ts";

Deno.test("leftOutBy goes by plugin, file and function, never by the code alone", () => {
  const of = (
    plugin: Parameters<typeof leftOutBy>[1],
    file: string,
    routine: string,
    code: string,
  ) => leftOutBy({ severity: "WARNING", code, file, routine }, plugin);
  assertEquals(of("pgoutput", "pgoutput.c", "LoadPublications", "55000"), "publication");
  assertEquals(of("pgoutput", "slot.c", "StandbySlotsHaveCaughtup", "55000"), undefined);
  assertEquals(of("pgoutput", "pg_locale.c", "pg_newlocale_from_collation", "01000"), undefined);
  assertEquals(of("pgoutput", "pgoutput.c", "something_new", "01000"), "unclear");
  assertEquals(of("wal2json", "wal2json.c", "pg_decode_write_change", "01000"), "row");
  assertEquals(of("wal2json", "wal2json.c", "pg_decode_startup", "22023"), undefined);
  assertEquals(of("wal2json", "wal2json.c", "something_new", "01000"), "unclear");
  // Somebody in between cuts them off.
  assertEquals(of("wal2json", "", "", "01000"), "unclear");
  assertEquals(of("wal2json", "", "", "57P02"), undefined);
  const notice = { code: "01000", file: "wal2json.c", routine: "pg_decode_write_change" };
  assertEquals(leftOutBy({ severity: "NOTICE", ...notice }, "wal2json"), undefined);
});
