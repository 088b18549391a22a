import type { OutputPlugin, SlotOptions } from "../../options.ts";

/** Messages of `pg_logical_emit_message` came to pgoutput with 14. */
const PGOUTPUT_MESSAGES_VERSION = 140000;

/** Whether a server gives logical messages to the plugin. */
export function sendsMessages(plugin: OutputPlugin, serverVersion: number): boolean {
  return plugin !== "pgoutput" || serverVersion >= PGOUTPUT_MESSAGES_VERSION;
}

/** The options of START_REPLICATION that the decoders are written for. */
export function pluginOptions(
  { plugin, publications }: SlotOptions,
  serverVersion: number,
): readonly (readonly [name: string, value: string])[] {
  switch (plugin) {
    case "test_decoding":
      // Not skip-empty-xacts: it leaves out the BEGIN before a transaction's messages.
      return [["include-xids", "1"], ["include-timestamp", "1"]];
    case "wal2json":
      // Numbers are bare and have every digit; numeric-data-types-as-string would quote them.
      return [
        ["format-version", "2"],
        ["include-transaction", "1"],
        ["include-xids", "1"],
        ["include-timestamp", "1"],
        ["include-lsn", "1"],
        ["include-pk", "1"],
      ];
    case "pgoutput": {
      const names = publications.map((name) => `"${name.replaceAll('"', '""')}"`).join(",");
      return [
        ["proto_version", "1"],
        ["publication_names", names],
        // Also where none is published: they are counted, so that a change has one `seq` for good.
        ...(sendsMessages(plugin, serverVersion) ? [["messages", "true"] as const] : []),
      ];
    }
    default:
      return plugin satisfies never;
  }
}
