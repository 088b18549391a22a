import type { OutputPlugin } from "../../options.ts";
import type { Notice } from "./copy_data.ts";
import type { ServerWarning } from "../../base/replication_message.ts";

/** The code of `elog(WARNING, …)`, and of any `ereport` that names none. */
const PLAIN_WARNING = "01000";

/** Class 57 announces that the server goes down. */
const OPERATOR_INTERVENTION = "57";

/**
 * What a warning of the walsender means; undefined: nothing that was left out. That the text does not
 * tell, since it may be translated, nor the SQLSTATE alone: 55000 is a publication that is skipped and
 * a standby that is waited for. The file and function that wrote it do.
 */
export function leftOutBy(
  { severity, code, file, routine }: Pick<Notice, "severity" | "code" | "file" | "routine">,
  plugin: OutputPlugin,
): ServerWarning["leftOut"] | undefined {
  if (severity !== "WARNING" || code.startsWith(OPERATOR_INTERVENTION)) return undefined;
  switch (plugin) {
    case "pgoutput":
      // https://github.com/postgres/postgres/blob/REL_18_4/src/backend/replication/pgoutput/pgoutput.c
      if (file === "pgoutput.c" && routine === "LoadPublications") return "publication";
      break;
    case "wal2json":
      // https://github.com/eulerto/wal2json/blob/wal2json_2_6/wal2json.c
      if (file === "wal2json.c" && routine === "pg_decode_write_change" && code === PLAIN_WARNING) {
        return "row";
      }
      // Of options that it will give up.
      if (file === "wal2json.c" && routine === "pg_decode_startup") return undefined;
      break;
    case "test_decoding":
      break;
    default:
      return plugin satisfies never;
  }
  // What else a plugin warns of is not known. What the rest of the server warns of says nothing of changes.
  return file === `${plugin}.c` || file === "" ? "unclear" : undefined;
}

/** The function that waits for the standbys of `synchronized_standby_slots` (17 and newer). */
export function isWaitForStandby({ file, routine }: Pick<Notice, "file" | "routine">): boolean {
  return file === "slot.c" && routine === "StandbySlotsHaveCaughtup";
}
