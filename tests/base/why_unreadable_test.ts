import { assertEquals } from "@std/assert";
import { whyUnreadable } from "../../src/base/why_unreadable.ts";

Deno.test("whyUnreadable says why in words of ours, without the path", () => {
  const why = (path: string) => {
    try {
      return Deno.readTextFileSync(path);
    } catch (error) {
      return whyUnreadable(error);
    }
  };
  assertEquals(why("/nowhere/at/all"), "there is no such file");
  assertEquals(why(Deno.cwd()), "it is a directory");
  assertEquals(
    whyUnreadable(
      new Deno.errors.PermissionDenied("Permission denied (os error 13): readfile 'x'"),
    ),
    "this user may not read it",
  );
  assertEquals(whyUnreadable(new Error("the disk is broken")), "the disk is broken");
});
