import type { MessageRole, Plugin } from "../plugin.ts";
import { TestDecodingDecoder } from "./test_decoding_decoder.ts";

/** By the first letter: BEGIN, COMMIT, table, message. */
const ROLES: Readonly<Record<number, MessageRole>> = {
  0x42: "begin", // B
  0x43: "commit", // C
  0x74: "change", // t
  0x6D: "change", // m
};

/** PostgreSQL's own example of a plugin, which prints text. */
export const TEST_DECODING: Plugin = {
  name: "test_decoding",
  isBuiltIn: false,
  install:
    "it comes with PostgreSQL's contrib package (postgresql-contrib; Debian: in the server's)",
  installCommand: () => undefined,
  usesPublications: false,
  sendsUtf8: false,
  // Not skip-empty-xacts: it leaves out the BEGIN before a transaction's messages.
  startOptions: () => [["include-xids", "1"], ["include-timestamp", "1"]],
  sendsMessages: () => true,
  leftOutBy: () => undefined,
  shownType: (type) => type,
  roleOf: (message) => ROLES[message.dataAt(0)!],
  createDecoder: ({ publishesMessage }) => new TestDecodingDecoder(publishesMessage),

  withoutIdentity: "row not named",
  keyNamesAreIdentity: false,
  showsOldIdentity: true,
  fillsOldRow: false,
  omitsUnchanged: false,
  printsNaNAsNull: false,
  omitsGenerated: false,
  printsVirtualAsNull: true,
  shownDdl: "some",
  wasParsedAsJson: false,
};
