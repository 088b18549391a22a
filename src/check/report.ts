import type { Remedy } from "../problem.ts";
import type { Finding, Verdict } from "./finding.ts";

const MARKS: Readonly<Record<Verdict, string>> = { ok: "✓", warn: "!", stop: "✗" };

/** Statements that a line shows; `--json` has all. */
const SHOWN_STATEMENTS = 10;

/** A line for each finding: mark, check, what was found, and behind an arrow what mends it. */
export function renderText(findings: readonly Finding[]): string {
  return findings.map(({ check, verdict, found, remedy }) => {
    const mend = remedy === undefined ? "" : ` → ${remedyText(remedy)}`;
    return oneLine(`${MARKS[verdict]} ${check}: ${found}${mend}`) + "\n";
  }).join("");
}

/**
 * One object:
 *
 *     {"ok":false,"checks":[{"check":"wal_level","verdict":"stop","found":"…",
 *      "remedy":{"kind":"sql","statements":["ALTER SYSTEM SET wal_level = logical;"],
 *                "then":"restart the server"}}, …]}
 *
 * `verdict` is ok, warn or stop; `ok` is false when any is stop. A remedy's kind is sql, options, policy
 * (with `statement`, an IAM policy's), command or advice.
 */
export function renderJson(findings: readonly Finding[]): string {
  const report = {
    ok: findings.every(({ verdict }) => verdict !== "stop"),
    checks: findings.map(({ check, verdict, found, remedy }) => ({
      ...{ check, verdict, found },
      remedy: remedy?.kind === "policy"
        ? { kind: remedy.kind, statement: policyStatement(remedy) }
        : remedy,
    })),
  };
  return JSON.stringify(report, null, 2) + "\n";
}

export function remedyText(remedy: Remedy): string {
  switch (remedy.kind) {
    case "sql": {
      const shown = remedy.statements.slice(0, SHOWN_STATEMENTS);
      const more = remedy.statements.length - shown.length;
      return shown.join(" ") + (more > 0 ? ` (and ${more} more: see --json)` : "") +
        andThen(remedy.then);
    }
    case "options":
      return remedy.options;
    case "policy":
      return JSON.stringify(policyStatement(remedy));
    case "command":
      return remedy.command + andThen(remedy.then);
    case "advice":
      return remedy.text;
    default:
      return remedy satisfies never;
  }
}

const andThen = (then: string | undefined) => then === undefined ? "" : ` (then ${then})`;

function policyStatement({ actions, resource }: Extract<Remedy, { kind: "policy" }>) {
  return { Effect: "Allow", Action: actions, Resource: resource };
}

/** Names of tables may hold anything; a terminal is not to be steered by them. */
function oneLine(text: string): string {
  return text.replace(
    /[\p{Cc}\u2028\u2029]/gu,
    (character) => "\\u" + character.charCodeAt(0).toString(16).padStart(4, "0"),
  );
}
