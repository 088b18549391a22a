import type { Remedy } from "../base/problem.ts";
import { printable, printableJson } from "../base/printable.ts";
import { countOf } from "../base/quantity.ts";
import type { Finding, Verdict } from "./finding.ts";

const MARKS: Readonly<Record<Verdict, string>> = { ok: "✓", warn: "!", stop: "✗" };

/** Statements that a line shows; `--json` has all. */
const SHOWN_STATEMENTS = 10;

/** Select Graphic Rendition of ECMA-48: green, yellow, red. */
const COLOURS: Readonly<Record<Verdict, string>> = { ok: "32", warn: "33", stop: "31" };

/**
 * A line for each finding: mark, check, what was found, and behind an arrow what mends it; and a last
 * line with the verdict on all of them.
 */
export function renderText(findings: readonly Finding[], inColour = false): string {
  const paint = (verdict: Verdict, text: string) =>
    inColour ? `\x1b[${COLOURS[verdict]}m${text}\x1b[0m` : text;
  const lines = findings.map(({ check, verdict, found, remedy }) => {
    const mend = remedy === undefined ? "" : ` → ${remedyText(remedy)}`;
    return paint(verdict, MARKS[verdict]) + " " + printable(`${check}: ${found}${mend}`);
  });
  const worst = VERDICTS.findLast((verdict) => countOfVerdict(findings, verdict) > 0) ?? "ok";
  lines.push(paint(worst, `${MARKS[worst]} verdict: ${verdictOn(findings)}`));
  return lines.map((line) => line + "\n").join("");
}

/** The worst last. */
const VERDICTS = ["ok", "warn", "stop"] as const satisfies readonly Verdict[];

const countOfVerdict = (findings: readonly Finding[], wanted: Verdict) =>
  findings.filter(({ verdict }) => verdict === wanted).length;

function verdictOn(findings: readonly Finding[]): string {
  const stop = countOfVerdict(findings, "stop");
  const warn = countOfVerdict(findings, "warn");
  const outcome = stop === 0
    ? "nothing would stop a run"
    : `${countOf(stop, "problem")} would stop a run`;
  return warn === 0 ? outcome : `${outcome}; ${countOf(warn, "remark")} marked !`;
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
  return printableJson(JSON.stringify(report, null, 2)) + "\n";
}

function remedyText(remedy: Remedy): string {
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
