import { assertEquals } from "@std/assert";
import { Findings } from "../../src/check/finding.ts";
import { renderText } from "../../src/check/render_findings.ts";

function lastLine(fill: (findings: Findings) => void): string {
  const findings = new Findings();
  findings.ok("wal_level", "is logical");
  fill(findings);
  return renderText(findings.all).split("\n").at(-2)!;
}

Deno.test("renderText ends with a verdict on all findings", () => {
  assertEquals(lastLine(() => {}), "✓ verdict: nothing would stop a run");
  assertEquals(
    lastLine((all) => all.warn("slot", "x")),
    "! verdict: nothing would stop a run; 1 remark marked !",
  );
  assertEquals(lastLine((all) => all.stop("role", "x")), "✗ verdict: 1 problem would stop a run");
  assertEquals(
    lastLine((all) => {
      for (const check of ["role", "slot"]) all.stop(check, "x");
      for (const check of ["tables", "stream"]) all.warn(check, "x");
    }),
    "✗ verdict: 2 problems would stop a run; 2 remarks marked !",
  );
});

Deno.test("renderText paints marks and verdict on a terminal, and nothing that the database says", () => {
  const findings = new Findings();
  findings.ok("wal_level", "is logical");
  findings.stop("role", "may \x1b[32mnot");
  assertEquals(
    renderText(findings.all, true),
    "\x1b[32m✓\x1b[0m wal_level: is logical\n" +
      "\x1b[31m✗\x1b[0m role: may \\u001b[32mnot\n" +
      "\x1b[31m✗ verdict: 1 problem would stop a run\x1b[0m\n",
  );
});
