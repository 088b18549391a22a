import type { Plugin } from "../plugin.ts";
import { PgoutputDecoder } from "./pgoutput_decoder.ts";
import { type Letter, ROLES } from "./pgoutput_letters.ts";

/** Logical messages came to pgoutput with 14. */
const MESSAGES_VERSION = 140000;

/** PostgreSQL's own plugin of logical replication. */
export const PGOUTPUT: Plugin = {
  name: "pgoutput",
  isBuiltIn: true,
  install: "it is part of every server from 10 on",
  installCommand: () => undefined,
  usesPublications: true,
  sendsUtf8: true,
  startOptions(publications, serverVersion) {
    const names = publications.map((name) => `"${name.replaceAll('"', '""')}"`).join(",");
    return [
      ["proto_version", "1"],
      ["publication_names", names],
      // Also where none is published: they are counted, so that a change has one `seq` for good.
      ...(serverVersion >= MESSAGES_VERSION ? [["messages", "true"] as const] : []),
    ];
  },
  sendsMessages: (serverVersion) => serverVersion >= MESSAGES_VERSION,
  // https://github.com/postgres/postgres/blob/REL_18_4/src/backend/replication/pgoutput/pgoutput.c
  leftOutBy: ({ file, routine }) =>
    file === "pgoutput.c" && routine === "LoadPublications" ? "publication" : undefined,
  shownType: (_type, fullType) => fullType,
  roleOf: (message) => ROLES[message.dataAt(0) as Letter],
  createDecoder: ({ typeName, publishesMessage }) =>
    new PgoutputDecoder(typeName, publishesMessage),

  withoutIdentity: "refused",
  keyNamesAreIdentity: true,
  showsOldIdentity: false,
  fillsOldRow: false,
  omitsUnchanged: false,
  printsNaNAsNull: false,
  omitsGenerated: true,
  printsVirtualAsNull: false,
  shownDdl: "own",
  wasParsedAsJson: false,
};
