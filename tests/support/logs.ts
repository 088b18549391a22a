import { configure, type LogRecord, reset } from "@logtape/logtape";

/** A line of the log as a person reads it. */
export interface LogLine {
  readonly level: string;
  readonly text: string;
}

/**
 * Runs `use`, which sees the lines as they come, and gives what was logged meanwhile. The log is the process's: tests of one file, which
 * run one after the other, may use it.
 */
export async function logged(
  use: (lines: readonly LogLine[]) => Promise<unknown>,
): Promise<LogLine[]> {
  const lines: LogLine[] = [];
  await configure({
    reset: true,
    sinks: {
      lines: ({ level, message }: LogRecord) => {
        lines.push({ level, text: message.map((part) => String(part)).join("") });
      },
    },
    loggers: [
      { category: "pg2kinesis", sinks: ["lines"] },
      { category: ["logtape", "meta"], lowestLevel: "error", sinks: [] },
    ],
  });
  try {
    await use(lines);
  } finally {
    await reset();
  }
  return lines;
}
