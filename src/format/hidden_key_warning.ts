import { getLogger } from "@logtape/logtape";
import type { FormatProblem } from "./formatter.ts";

const logger = getLogger(["pg2kinesis", "format"]);

/**
 * Says once for each table that its changes come without their primary key, for the formats that can
 * do without one.
 */
export class HiddenKeyWarning {
  readonly #warned = new Set<string>();

  warn({ table, reason }: FormatProblem): void {
    if (this.#warned.has(table)) return;
    this.#warned.add(table);
    logger.warn(
      "a change of {table} is published under the partition key of the whole table, so not in order " +
        "with its row's other changes: {reason}; set REPLICA IDENTITY DEFAULT or FULL, or use " +
        "--partition-key table",
      { table, reason },
    );
  }
}
