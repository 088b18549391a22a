import { findProblems } from "../check/check.ts";
import { renderJson, renderText } from "../check/report.ts";
import type { RunOptions } from "../options.ts";
import { redact } from "../telemetry/redaction.ts";
import { writeOut } from "./output.ts";
import { onStopSignal } from "./stop_signal.ts";

/** Prints what a check finds; gives whether nothing would stop a run. */
export async function check(options: RunOptions, json: boolean): Promise<boolean> {
  using stop = onStopSignal();
  const findings = await findProblems(options, stop.signal);
  writeOut(redact(json ? renderJson(findings) : renderText(findings, mayColour())));
  return findings.every(({ verdict }) => verdict !== "stop");
}

/** https://no-color.org: a variable that is not empty. */
function mayColour(): boolean {
  return Deno.stdout.isTerminal() && !Deno.env.get("NO_COLOR") && Deno.env.get("TERM") !== "dumb";
}
