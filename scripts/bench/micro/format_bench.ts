import { PLUGINS } from "../../../src/decode/plugins.ts";
import { createFormatter } from "../../../src/format/formats.ts";
import { DEFAULT_DMS } from "../../../src/format/dms/dms_settings.ts";
import type { FormatOptions } from "../../../src/options.ts";
import { readCopyData } from "../../../src/postgres/session/copy_data.ts";
import type { XLogData } from "../../../src/base/replication_message.ts";
import { OUTPUT_PLUGINS } from "../../../src/options.ts";
import { captureMessages } from "./captured_messages.ts";

// Each iteration decodes and formats 20,000 changes.
// `deno bench -A scripts/bench/micro/format_bench.ts`
const captured = await captureMessages(2000);
captured.catalog.close();
const catalog = {
  typeName: (oid: number, typmod: number) => captured.catalog.typeName(oid, typmod) ?? "text",
  publishesMessage: () => true,
};
const OPTIONS: FormatOptions = {
  formatter: "CSVPayload",
  fullChange: false,
  partitionKey: { kind: "pkey" },
  tablePattern: undefined,
  includeTables: [],
  excludeTables: [],
  excludeColumns: [],
  maskColumns: [],
  maskSalt: undefined,
  operations: new Set(["insert", "update", "delete", "truncate"]),
  messagePrefixes: [],
  routes: [],
  commitRecords: false,
  recordSeparator: "none",
  debezium: {
    name: "bench",
    decimals: "precise",
    tombstones: false,
    nullKey: undefined,
    transactions: false,
    database: "bench",
  },
  dms: { ...DEFAULT_DMS, taskId: "bench" },
};
/** A closed catalog reads no types any more; none of them is a domain. */
const known = new Proxy(captured.catalog, {
  get(target, name) {
    if (name === "domainBase") return () => null;
    const value = Reflect.get(target, name, target);
    return typeof value === "function" ? value.bind(target) : value;
  },
});
const FORMATS: Readonly<Record<string, Partial<FormatOptions>>> = {
  CSV: { formatter: "CSV" },
  CSVPayload: {},
  "CSVPayload --full-change": { fullChange: true },
  JSON: { formatter: "JSON" },
  debezium: { formatter: "debezium" },
  dms: { formatter: "dms" },
};

for (const plugin of OUTPUT_PLUGINS) {
  const messages = captured.messages[plugin].map((message) =>
    readCopyData(message, 0, message.length) as XLogData
  );
  for (const [name, options] of Object.entries(FORMATS)) {
    const formatter = await createFormatter({ ...OPTIONS, ...options }, plugin, known);
    let units = 0;
    Deno.bench({ group: name, name: `${name}: ${captured.changes} changes of ${plugin}` }, () => {
      const decoder = PLUGINS[plugin].createDecoder(catalog);
      for (const message of messages) {
        const event = decoder.decode(message);
        if (event === undefined || event.kind === "begin" || event.kind === "commit") continue;
        if (event.kind === "ambiguous-message") continue;
        formatter.format(event, (key, data) => units += key.length + data.length);
      }
    });
  }
}
