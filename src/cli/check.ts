import { findProblems } from "../check/check.ts";
import type { Finding } from "../check/finding.ts";
import { renderJson, renderText } from "../check/report.ts";
import type { RunOptions } from "../options.ts";
import { redact } from "../telemetry/redaction.ts";
import { writeOut } from "./output.ts";
import { onStopSignal } from "./stop_signal.ts";

/** Prints what a check finds; gives whether nothing would stop a run. */
export async function check(options: RunOptions, json: boolean): Promise<boolean> {
  using stop = onStopSignal();
  const findings = await findProblems(options, stop.signal);
  const shown = redactAll(findings);
  await writeOut(json ? renderJson(shown) : renderText(shown, mayColour()), stop.signal);
  return findings.every(({ verdict }) => verdict !== "stop");
}

/** The same findings, of which no text holds a secret. */
function redactAll(findings: readonly Finding[]): Finding[] {
  return JSON.parse(
    JSON.stringify(findings, (_key, value) => typeof value === "string" ? redact(value) : value),
  );
}

/** https://no-color.org: a variable that is not empty. */
function mayColour(): boolean {
  return Deno.stdout.isTerminal() && !Deno.env.get("NO_COLOR") && Deno.env.get("TERM") !== "dumb";
}
