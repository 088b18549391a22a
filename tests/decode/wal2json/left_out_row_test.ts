import { assertEquals } from "@std/assert";
import { mayBeWanted } from "../../../src/decode/wal2json/left_out_row.ts";

Deno.test("mayBeWanted lets go only of what is unwanted in every way that it can be read", () => {
  const unwanted = new Set(["update a.b", "delete a.b", 'delete a.b"."c', 'delete a"."b.c']);
  const ask = (warning: string) =>
    mayBeWanted(warning, (operation, table) => !unwanted.has(`${operation} ${table}`));
  assertEquals(ask('no tuple identifier for UPDATE in table "a"."b"'), false);
  assertEquals(ask('no old tuple data for DELETE in table "a"."b"'), false);
  assertEquals(ask('no tuple data for INSERT in table "a"."b"'), true);
  assertEquals(ask('no tuple identifier for UPDATE in table "a"."c"'), true);
  assertEquals(ask('no tuple identifier for DELETE in table "a"."b"."c"'), false);
  assertEquals(ask('no tuple identifier for UPDATE in table "a"."b"."c"'), true);
  // Of another version, or in another form.
  assertEquals(ask('table "b" without primary key or replica identity is nothing'), true);
  assertEquals(ask('no tuple identifier for UPDATE in table "b"'), true);
});
