import { configureSync, type LogRecord } from "@logtape/logtape";
import { systemClock } from "../base/clock.ts";
import type { LogOptions } from "../options.ts";
import { isPlainWord, printable, printableJson } from "../base/printable.ts";
import { nounFor } from "../base/quantity.ts";
import { takeForeignOutput } from "./foreign_output.ts";
import { redact } from "../base/redaction.ts";
import { sayDroppedWith, writeLine } from "./stderr.ts";
import { WarningLimiter } from "./warning_limiter.ts";

export { registerSecret } from "../base/redaction.ts";

/**
 * Sends everything that is logged under `pg2kinesis` to stderr, one line each, and what libraries and
 * formatters say to the console. Logging never waits for whoever reads the log: `lastWords` does, for
 * a moment, before the process ends. To be disposed at the end, when it says how many repeated
 * warnings were left out.
 */
export function configureLog(options: LogOptions): Disposable {
  const format = options.format === "json" ? jsonLine : textLine;
  const withStacks = options.level === "debug";
  const limiter = new WarningLimiter((record) => writeLine(format(record, withStacks)));
  sayDroppedWith((count) => format(droppedRecord(count), withStacks));
  configureSync({
    reset: true,
    sinks: { stderr: (record) => limiter.take(record) },
    loggers: [
      { category: "pg2kinesis", lowestLevel: options.level, sinks: ["stderr"] },
      // What LogTape itself has to say, such as a sink that threw.
      { category: ["logtape", "meta"], lowestLevel: "error", sinks: ["stderr"] },
    ],
  });
  const releaseForeignOutput = takeForeignOutput();
  return {
    [Symbol.dispose]: () => {
      releaseForeignOutput();
      limiter.flush();
    },
  };
}

function droppedRecord(count: number): LogRecord {
  const text = ` ${
    nounFor(count, "log line")
  } dropped here: nobody read the log, or it could not be written`;
  return {
    category: ["pg2kinesis", "log"],
    level: "warning",
    message: ["", count, text],
    rawMessage: `{dropped}${text}`,
    properties: { dropped: count },
    timestamp: systemClock.wall(),
  };
}

/** `2026-11-22T08:01:02.123Z INFO the message key=value`, without the line's end. */
export function textLine(record: LogRecord, withStacks: boolean): string {
  const message = messageOf(record);
  const said = placeholdersOf(record);
  const words = [timeOf(record), record.level.toUpperCase(), printable(redact(message))];
  for (const [key, value] of Object.entries(record.properties)) {
    if (said.has(key) || saysError(message, value)) continue;
    words.push(`${key}=${quoted(asText(value))}`);
  }
  if (withStacks) {
    for (const error of errorsOf(record)) words.push(`stack=${quoted(stackOf(error))}`);
  }
  return redact(words.join(" "));
}

/** One JSON object: time, level, area, message, then the record's properties as they are. */
export function jsonLine(record: LogRecord, withStacks: boolean): string {
  const message = messageOf(record);
  const line: Record<string, unknown> = {
    time: timeOf(record),
    level: record.level,
    area: record.category.slice(1).join("."),
    message,
  };
  for (const [key, value] of Object.entries(record.properties)) {
    if (!saysError(message, value)) {
      line[Object.hasOwn(line, key) ? `${key}_` : key] = asJson(value);
    }
  }
  const stacks = withStacks ? errorsOf(record).map(stackOf) : [];
  if (stacks.length > 0) line.stack = stacks.join("\n");
  return printableJson(JSON.stringify(line, redacted));
}

function redacted(_key: string, value: unknown): unknown {
  return typeof value === "string" ? redact(value) : value;
}

/** A clock that is off the calendar must not be what stops a run. */
function timeOf(record: LogRecord): string {
  const time = new Date(record.timestamp);
  return Number.isNaN(time.getTime()) ? String(record.timestamp) : time.toISOString();
}

/** LogTape gives the words and the values of `{placeholders}` in turns. */
function messageOf(record: LogRecord): string {
  return record.message.map((part, index) => index % 2 === 0 ? String(part) : asText(part)).join(
    "",
  );
}

/** The properties that the message already says. */
function placeholdersOf(record: LogRecord): Set<string> {
  if (typeof record.rawMessage !== "string") return new Set();
  const template = record.rawMessage.replaceAll(/\{\{|\}\}/g, "");
  return new Set([...template.matchAll(/\{\s*([^{}\s]+)\s*\}/g)].map(([, name]) => name!));
}

/** An error is often given beside a message that already holds its words. */
function saysError(message: string, value: unknown): boolean {
  return value instanceof Error && message.includes(value.message);
}

function asText(value: unknown): string {
  if (typeof value === "string") return value;
  if (value instanceof Error) return value.message;
  if (typeof value === "object" && value !== null) return JSON.stringify(asJson(value)) ?? "";
  return String(value);
}

/** The value as JSON can hold it: numbers beyond a double's digits as text, errors as their message. */
function asJson(value: unknown): unknown {
  try {
    const text = JSON.stringify(value, (_key, inner) => {
      if (typeof inner === "bigint") return inner.toString();
      if (typeof inner === "number" && !Number.isFinite(inner)) return String(inner);
      if (inner instanceof Error) return inner.message;
      if (inner instanceof Map) return Object.fromEntries(inner);
      if (inner instanceof Set) return [...inner];
      return inner;
    });
    return text === undefined ? String(value) : JSON.parse(text);
  } catch {
    // A value that cannot be printed, such as a circular one, must not cost the line.
    return String(value);
  }
}

function errorsOf(record: LogRecord): Error[] {
  return Object.values(record.properties).filter((value) => value instanceof Error);
}

/** The stack, and the stacks of what caused it. */
function stackOf(error: Error): string {
  const stacks: string[] = [];
  const seen = new Set<unknown>();
  for (let next: unknown = error; next !== undefined && !seen.has(next);) {
    seen.add(next);
    stacks.push(
      next instanceof Error ? next.stack ?? `${next.name}: ${next.message}` : asText(next),
    );
    next = next instanceof Error ? next.cause : undefined;
  }
  return stacks.join("\ncaused by: ");
}

/** A value with blanks, quotes or `=` in quotes, so that it is clear where it ends. */
function quoted(text: string): string {
  const safe = redact(text);
  return isPlainWord(safe) ? safe : printable(JSON.stringify(safe));
}
