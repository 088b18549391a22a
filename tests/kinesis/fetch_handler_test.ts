import { assertEquals } from "@std/assert";
import { describe } from "../../src/kinesis/fetch_handler.ts";

Deno.test("describe keeps of a failed fetch where it went and why, once", () => {
  const refused = "tcp connect error: Connection refused (os error 111)";
  const start = "error sending request for url (http://127.0.0.1:1/)";
  const once = "http://127.0.0.1:1/: tcp connect error: Connection refused (os error 111)";
  // Deno 2.4, and newer ones.
  for (
    const error of [
      new TypeError(
        `${start}: client error (Connect): ${refused}: Connection refused (os error 111)`,
      ),
      new TypeError(start, {
        cause: new Error(`client error (Connect): ${refused}`, {
          cause: new Error("Connection refused (os error 111)"),
        }),
      }),
    ]
  ) assertEquals(describe(error), once);
  assertEquals(describe(new Error("connection reset")), "connection reset");
  const unknown = "failed to lookup address information: Name or service not known";
  assertEquals(
    describe(new Error(`client error (Connect): dns error: ${unknown}: ${unknown}`)),
    `dns error: ${unknown}`,
  );
});
