import { findProblems } from "../check/find_problems.ts";
import type { Finding } from "../check/finding.ts";
import { renderJson, renderText } from "../check/render_findings.ts";
import type { RunOptions } from "../options.ts";
import { redact } from "../base/redaction.ts";
import type { ConfigFile } from "./config_file.ts";
import { flags } from "./flags.ts";
import { writeOut } from "./stdout.ts";
import { onStopSignal } from "../run/stop_signal.ts";

/** Prints what a check finds; gives whether nothing would stop a run. */
export async function check(
  options: RunOptions,
  json: boolean,
  config?: ConfigFile,
): Promise<boolean> {
  using stop = onStopSignal();
  const findings = [...configFindings(config), ...await findProblems(options, stop.signal)];
  const shown = redactAll(findings);
  await writeOut(json ? renderJson(shown) : renderText(shown, mayColour()), stop.signal);
  return findings.every(({ verdict }) => verdict !== "stop");
}

/** What is wrong with the file has ended the program before this. */
function configFindings(config: ConfigFile | undefined): readonly Finding[] {
  if (config === undefined) return [];
  const keys = [...config.texts.keys()].map((id) => flags[id].name);
  const found = keys.length === 0 ? "sets nothing" : `sets ${keys.join(", ")}`;
  return [{ check: "config", verdict: "ok", found: `${config.path} ${found}`, remedy: undefined }];
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
