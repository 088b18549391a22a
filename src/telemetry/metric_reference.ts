import { METRICS } from "./metrics.ts";
import { PROCESS_METRICS } from "./process_metrics.ts";
import { STREAM_METRICS } from "./stream_metrics.ts";

/** The table of all metrics in docs/metrics.md, in Markdown. */
export function renderMetricReference(): string {
  const rows = [...METRICS, ...STREAM_METRICS, ...PROCESS_METRICS].map(
    ({ name, labels, type, help, more }) => {
      const braces = labels === undefined ? "" : `{${labels.join(",")}}`;
      return `| \`${name}${braces}\` | ${type} | ${help}${
        more === undefined ? "" : ` ${more}`
      } |\n`;
    },
  );
  return `| metric | type | meaning |\n|---|---|---|\n${rows.join("")}`;
}
