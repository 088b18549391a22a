import type { SlotOptions } from "../options.ts";

/** Messages of `pg_logical_emit_message` came to pgoutput with 14. */
const PGOUTPUT_MESSAGES_VERSION = 140000;

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
        ...(serverVersion >= PGOUTPUT_MESSAGES_VERSION ? [["messages", "true"] as const] : []),
      ];
    }
    default:
      return plugin satisfies never;
  }
}
