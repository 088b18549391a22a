import { assertEquals } from "@std/assert";
import { createFormatter } from "../../src/format/formats.ts";
import { format, MadeUpCatalog, OPTIONS, row } from "../support/made_up_changes.ts";

for (const formatter of ["JSON", "CSVPayload"]) {
  Deno.test(`virtual generated columns, which plugins print as NULL, are left out (${formatter})`, async () => {
    const catalog = new MadeUpCatalog({ "public.t": { virtualColumns: ["twice", "was_stored"] } });
    const options = { ...OPTIONS, formatter, fullChange: formatter === "CSVPayload" };
    const columns = async (plugin: "test_decoding" | "pgoutput") => {
      const change = row("insert", {
        newRow: [
          ["id", "integer", "1"],
          ["twice", "integer", null],
          ["note", "text", null],
          ["was_stored", "integer", "7"],
        ],
      });
      const [record] = format(await createFormatter(options, plugin, catalog), change);
      const { after, change: full } = JSON.parse(record!.data.replace(/^0,CDC,/, ""));
      return after === undefined ? full.columnnames : Object.keys(after);
    };
    assertEquals(await columns("test_decoding"), ["id", "note", "was_stored"]);
    // It never sends any, so what it sends is something else.
    assertEquals(await columns("pgoutput"), ["id", "twice", "note", "was_stored"]);
  });
}
