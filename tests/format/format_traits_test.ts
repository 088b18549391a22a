import { assertEquals } from "@std/assert";
import { FORMAT_NAMES, FORMATS, publishesKeysOnly } from "../../src/format/format_traits.ts";
import { createFormatter } from "../../src/format/formats.ts";
import { MadeUpCatalog, message, OPTIONS, row, tryFormat } from "../support/made_up_changes.ts";

const TABLE = "public.keyless";

for (const formatter of FORMAT_NAMES) {
  const traits = FORMATS[formatter];
  const isEither = traits.fullChange === "taken" ? [false, true] : [false];
  for (const fullChange of isEither) {
    const flags = fullChange ? `${formatter} --full-change` : formatter;
    Deno.test(`the format ${flags} does what its traits say`, async () => {
      const catalog = new MadeUpCatalog({ [TABLE]: { keys: [[]], replicaIdentity: "n" } });
      const options = { ...OPTIONS, formatter, fullChange };
      const made = await createFormatter(options, "test_decoding", catalog);

      const insert = row("insert", { table: TABLE, newRow: [["a", "integer", "1"]] });
      const inserted = tryFormat(made, insert);
      assertEquals(inserted.problem?.kind, publishesKeysOnly(options) ? "no-key" : undefined);

      const published = tryFormat(made, message("hello"));
      assertEquals(published.problem, undefined);
      assertEquals(published.records.length > 0, traits.hasMessages);

      const deleted = tryFormat(made, row("delete", { table: TABLE }));
      assertEquals(deleted.problem?.kind === "key-not-sent", traits.refusesUnnamedDeletes);
    });
  }
}
