import { assertEquals } from "@std/assert";
import { configure, type LogRecord, reset } from "@logtape/logtape";
import { createFormatter } from "../../src/format/formats.ts";
import { format, MadeUpCatalog, OPTIONS, row } from "../support/made_up_changes.ts";

Deno.test("a change that is published without its primary key is warned of, once a table", async () => {
  const records: LogRecord[] = [];
  await configure({
    reset: true,
    sinks: { records: (record) => records.push(record) },
    loggers: [
      { category: "pg2kinesis", sinks: ["records"] },
      { category: ["logtape", "meta"], lowestLevel: "error", sinks: [] },
    ],
  });
  try {
    const catalog = new MadeUpCatalog({ "public.t": { replicaIdentity: "i" }, "public.u": {} });
    for (const options of [{ formatter: "JSON" }, { fullChange: true }]) {
      records.length = 0;
      const formatter = await createFormatter({ ...OPTIONS, ...options }, "pgoutput", catalog);
      const hidden = row("delete", { oldRow: [["code", "text", "x"]] });
      const clear = row("delete", { table: "public.u", oldRow: [["id", "text", "x"]] });
      for (const change of [hidden, clear, hidden]) {
        assertEquals(format(formatter, change).length, 1);
      }
      assertEquals(records.map(({ level, properties }) => [level, properties.table]), [
        ["warning", "public.t"],
      ]);
    }
  } finally {
    await reset();
  }
});
