import { PLUGINS } from "../../decode/plugins.ts";
import type { OutputPlugin } from "../../options.ts";
import type { Notice } from "./copy_data.ts";
import type { ServerWarning } from "../../base/replication_message.ts";

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
  const leftOut = PLUGINS[plugin].leftOutBy({ file, routine, code });
  if (leftOut !== undefined) return leftOut === "nothing" ? undefined : leftOut;
  // What else a plugin warns of is not known. What the rest of the server warns of says nothing of changes.
  return file === `${plugin}.c` || file === "" ? "unclear" : undefined;
}

/** The function that waits for the standbys of `synchronized_standby_slots` (17 and newer). */
export function isWaitForStandby({ file, routine }: Pick<Notice, "file" | "routine">): boolean {
  return file === "slot.c" && routine === "StandbySlotsHaveCaughtup";
}
