import type { MessageRole, Plugin } from "../plugin.ts";
import { ACTION_AT, Wal2jsonDecoder } from "./wal2json_decoder.ts";

/** The code of `elog(WARNING, …)`, and of any `ereport` that names none. */
const PLAIN_WARNING = "01000";

/** By the letter of the action. */
const ROLES: Readonly<Record<number, MessageRole>> = {
  0x42: "begin", // B
  0x43: "commit", // C
  0x44: "change", // D
  0x49: "change", // I
  0x4D: "change", // M
  0x54: "change", // T
  0x55: "change", // U
};

/** https://github.com/eulerto/wal2json, with its format version 2. */
export const WAL2JSON: Plugin = {
  name: "wal2json",
  isBuiltIn: false,
  install: "Debian: apt-get install postgresql-<version>-wal2json; Red Hat: wal2json_<version>",
  installCommand: (major) => `apt-get install postgresql-${major}-wal2json`,
  usesPublications: false,
  sendsUtf8: false,
  // Numbers are bare and have every digit; numeric-data-types-as-string would quote them.
  startOptions: () => [
    ["format-version", "2"],
    ["include-transaction", "1"],
    ["include-xids", "1"],
    ["include-timestamp", "1"],
    ["include-lsn", "1"],
    ["include-pk", "1"],
  ],
  sendsMessages: () => true,
  // https://github.com/eulerto/wal2json/blob/wal2json_2_6/wal2json.c
  leftOutBy({ file, routine, code }) {
    if (file !== "wal2json.c") return undefined;
    if (routine === "pg_decode_write_change" && code === PLAIN_WARNING) return "row";
    // Of options that it will give up.
    return routine === "pg_decode_startup" ? "nothing" : undefined;
  },
  // The decoder takes the quotes off a name that needs them for itself alone.
  shownType: (_type, fullType) => fullType.replace(/^"([^"]*)"$/, "$1"),
  roleOf: (message) => ROLES[message.dataAt(ACTION_AT)!],
  createDecoder: ({ publishesMessage }) => new Wal2jsonDecoder(publishesMessage),

  withoutIdentity: "left out",
  keyNamesAreIdentity: false,
  showsOldIdentity: false,
  fillsOldRow: true,
  omitsUnchanged: true,
  printsNaNAsNull: true,
  omitsGenerated: false,
  printsVirtualAsNull: true,
  shownDdl: "all",
  wasParsedAsJson: true,
};
