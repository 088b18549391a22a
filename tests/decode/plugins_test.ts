import { assertEquals } from "@std/assert";
import type { MessageRole } from "../../src/decode/plugin.ts";
import { PLUGINS } from "../../src/decode/plugins.ts";
import { OUTPUT_PLUGINS } from "../../src/options.ts";
import { fixtureTypeName, makeXLogData, readFixture, toXLogData } from "../fixtures/fixture.ts";
import { decodeTwice, newDecoder } from "../support/decoding.ts";

for (const plugin of OUTPUT_PLUGINS) {
  Deno.test(`the role of a message is what its decoder makes of it (${plugin})`, async () => {
    const fixture = await readFixture(plugin, 15);
    const decoder = newDecoder(plugin, fixtureTypeName(fixture));
    const seen = new Set<MessageRole | undefined>();
    for (const each of fixture.messages) {
      const message = toXLogData(each);
      const kind = decodeTwice(decoder, message)?.kind ?? "teaching";
      const expected = ["begin", "commit", "teaching"].includes(kind) ? kind : "change";
      const role = PLUGINS[plugin].roleOf(message);
      assertEquals(role, expected, each.text ?? each.hex);
      seen.add(role);
    }
    assertEquals(seen.size, plugin === "pgoutput" ? 4 : 3);
  });
}

Deno.test("a message of a kind that is not known has no role, and no decoder takes it", () => {
  const strange = {
    test_decoding: ["streamed change for TXN 1", "opening a streamed block", "PREPARE TRANSACTION"],
    wal2json: ['{"action":"S"}', '{"change":[]}'],
    // Of the protocol's versions 2 to 4.
    pgoutput: ["S\0\0\0\x01\x01", "E", "c", "A", "b", "P", "K", "r", "p", ""],
  };
  for (const plugin of OUTPUT_PLUGINS) {
    for (const text of strange[plugin]) {
      const message = makeXLogData(1n, text);
      assertEquals(PLUGINS[plugin].roleOf(message), undefined, text);
      let isTaken = true;
      try {
        newDecoder(plugin).decode(message);
      } catch {
        isTaken = false;
      }
      assertEquals(isTaken, false, text);
    }
  }
});
