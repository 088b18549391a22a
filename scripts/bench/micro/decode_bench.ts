import { PLUGINS } from "../../../src/decode/plugins.ts";
import { readCopyData } from "../../../src/postgres/session/copy_data.ts";
import { MessageFramer } from "../../../src/postgres/session/message_framer.ts";
import type { XLogData } from "../../../src/base/replication_message.ts";
import { OUTPUT_PLUGINS } from "../../../src/options.ts";
import { captureMessages } from "./captured_messages.ts";

// Each iteration takes all messages of 2,000 transactions of 10 changes: 24,000 of test_decoding and
// wal2json. `deno bench -A scripts/bench/micro/decode_bench.ts`
const captured = await captureMessages(2000);
captured.catalog.close();
const catalog = {
  typeName: (oid: number, typmod: number) => captured.catalog.typeName(oid, typmod) ?? "text",
  publishesMessage: () => true,
};

for (const plugin of OUTPUT_PLUGINS) {
  const copyData = captured.messages[plugin];
  const stream = new Uint8Array(copyData.reduce((sum, { length }) => sum + length, 0));
  copyData.reduce((at, message) => (stream.set(message, at), at + message.length), 0);
  const messages = copyData.map((message) => readCopyData(message, 0, message.length) as XLogData);

  Deno.bench(`${plugin}: cut ${messages.length} messages out of the stream`, () => {
    const framer = new MessageFramer((bytes, start, end) => readCopyData(bytes, start, end));
    for (let at = 0; at < stream.length; at += 65_536) {
      framer.push(stream.subarray(at, at + 65_536));
    }
  });

  Deno.bench(`${plugin}: decode ${messages.length} messages, and of each change its key`, () => {
    const decoder = PLUGINS[plugin].createDecoder(catalog);
    for (const message of messages) {
      const event = decoder.decode(message);
      if (event?.kind === "insert" || event?.kind === "update") event.newColumn("id");
      else if (event?.kind === "delete") event.oldColumn("id");
    }
  });

  Deno.bench(`${plugin}: decode ${messages.length} messages with all columns`, () => {
    const decoder = PLUGINS[plugin].createDecoder(catalog);
    for (const message of messages) {
      const event = decoder.decode(message);
      if (event?.kind === "insert" || event?.kind === "update") event.newRow;
      else if (event?.kind === "delete") event.oldRow;
    }
  });
}
