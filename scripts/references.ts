/** Writes the tables of docs/flags.md and docs/metrics.md from the program's own. */
import { renderFlagReference } from "../src/cli/help.ts";
import { renderMetricReference } from "../src/telemetry/metric_reference.ts";
import { withGeneratedPart } from "../tests/support/generated_part.ts";

for (
  const [name, part] of [["flags", renderFlagReference()], [
    "metrics",
    renderMetricReference(),
  ]] as const
) {
  const path = new URL(`../docs/${name}.md`, import.meta.url);
  const page = await Deno.readTextFile(path);
  const fresh = withGeneratedPart(page, name, part);
  if (fresh !== page) await Deno.writeTextFile(path, fresh);
  console.log(`docs/${name}.md ${fresh === page ? "is up to date" : "has a new table"}`);
}
