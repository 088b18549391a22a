import { PLUGINS } from "../../src/decode/plugins.ts";
import { DebeziumFormatter } from "../../src/format/debezium/debezium_formatter.ts";
import { RowKeys } from "../../src/format/row_key.ts";
import type { DebeziumOptions } from "../../src/options.ts";
import { readMessages } from "../fixtures/debezium/read.ts";
import { fixtureTypeName, toXLogData } from "../fixtures/fixture.ts";
import { newDecoder } from "./decoding.ts";
import { MadeUpCatalog, textOf } from "./made_up_changes.ts";

/** What `-f debezium` makes of the messages that were captured beside Debezium's records. */
export async function formatCaptured(
  settings: Partial<DebeziumOptions>,
): Promise<{ readonly key: string; readonly text: string }[]> {
  const messages = await readMessages();
  const catalog = new MadeUpCatalog(
    Object.fromEntries(
      messages.tables.map(([name, replicaIdentity, key]) => [
        name,
        { keys: [key], replicaIdentity },
      ]),
    ),
  );
  for (const [name, base] of messages.domains) catalog.domains.set(name, base);
  const formatter = new DebeziumFormatter(
    PLUGINS.pgoutput,
    new RowKeys(PLUGINS.pgoutput, catalog),
    { kind: "pkey" },
    catalog,
    {
      name: "app",
      decimals: "precise",
      tombstones: true,
      nullKey: "(none)",
      transactions: false,
      database: messages.database,
      ...settings,
    },
  );
  const decoder = newDecoder("pgoutput", fixtureTypeName(messages));
  const records: { key: string; text: string }[] = [];
  const emit = (key: string, data: string | Uint8Array) => {
    records.push({ key, text: textOf(data) });
  };
  for (const message of messages.messages) {
    const event = decoder.decode(toXLogData(message));
    if (event === undefined || event.kind === "ambiguous-message" || event.kind === "begin") {
      continue;
    }
    if (event.kind === "commit") formatter.commit(event, emit);
    else {
      const problem = formatter.format(event, emit);
      if (problem !== undefined) throw new Error(Deno.inspect(problem));
    }
  }
  return records;
}
