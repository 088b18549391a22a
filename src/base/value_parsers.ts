import { UsageError } from "./errors.ts";
import { didYouMean, nearest } from "./did_you_mean.ts";

/** Reads what was typed; one that accepts only certain words lists them. */
export interface ValueParser<Value> {
  (text: string): Value;
  readonly words?: readonly string[];
}

/** One of a few words. */
export function choice<const Word extends string>(words: readonly Word[]): ValueParser<Word> {
  const parse = (text: string) => {
    const found = words.find((word) => word === text);
    if (found !== undefined) return found;
    throw new UsageError(
      `${JSON.stringify(text)} is not one of ${words.join(", ")}` +
        didYouMean(nearest(text, words)),
    );
  };
  return Object.assign(parse, { words });
}

/** A whole number within a range, both ends included. */
export function integer(range: { min: number; max: number }): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= range.min && value <= range.max) return value;
    throw new UsageError(
      `${JSON.stringify(text)} is not a whole number from ${range.min} to ${range.max}`,
    );
  };
}

const UNIT_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** A span of time such as `500ms`, `10s`, `1h30m` or `0`, in milliseconds. */
export function duration(range: { min: string; max: string }): (text: string) => number {
  const minMs = durationMs(range.min)!;
  const maxMs = durationMs(range.max)!;
  return (text) => {
    const ms = durationMs(text);
    if (ms === undefined) {
      throw new UsageError(
        `${JSON.stringify(text)} is not a span of time; write a number and ms, s, m, h or d, ` +
          "such as 500ms or 10s",
      );
    }
    if (ms !== 0 && (ms < minMs || ms > maxMs)) {
      throw new UsageError(
        `${JSON.stringify(text)} is out of range; it may be 0 or from ${range.min} to ${range.max}`,
      );
    }
    return ms;
  };
}

function durationMs(text: string): number | undefined {
  if (text === "0") return 0;
  if (!/^(\d+(\.\d+)?(ms|s|m|h|d))+$/.test(text)) return undefined;
  let sum = 0;
  for (const [, amount, unit] of text.matchAll(/([\d.]+)(ms|s|m|h|d)/g)) {
    sum += Number(amount) * UNIT_MS[unit!]!;
  }
  return Math.round(sum);
}

/** In bytes; as in PostgreSQL's settings kB, MB, GB and TB are powers of 1024. */
const UNIT_BYTES: Readonly<Record<string, number>> = {
  "": 1,
  B: 1,
  KB: 1024,
  MB: 1024 ** 2,
  GB: 1024 ** 3,
  TB: 1024 ** 4,
};

/** A size such as `512MB`, `10GiB` or `1073741824`, in bytes. */
export function size(text: string): number {
  const bytes = sizeBytes(text);
  if (bytes !== undefined && bytes >= 1 && Number.isSafeInteger(bytes)) return bytes;
  throw new UsageError(
    `${JSON.stringify(text)} is not a size; write a number and kB, MB, GB or TB, such as 10GB`,
  );
}

/** The same of any amount, 0 too; undefined: it is no size. */
export function sizeBytes(text: string): number | undefined {
  const [, amount, unit] = /^(\d+(?:\.\d+)?) ?([KMGT]?)i?B?$/i.exec(text) ?? [];
  if (amount === undefined) return undefined;
  const factor = UNIT_BYTES[unit === "" ? "" : `${unit!.toUpperCase()}B`]!;
  return Math.round(Number(amount) * factor);
}

/** A regular expression in JavaScript's syntax with the flag `u`. */
export function regularExpression(text: string): RegExp {
  try {
    return new RegExp(text, "u");
  } catch (error) {
    const { position, reason } = whereRegExpFails(text, reasonOf(error));
    throw new UsageError(
      `${JSON.stringify(text)} is not a regular expression: ${reason} at character ${position} ` +
        "(JavaScript's syntax, flag u)",
    );
  }
}

/**
 * V8 does not say where an expression is wrong. The place is where the shortest beginning ends from
 * which on every longer one has the same fault.
 */
function whereRegExpFails(text: string, reason: string): { position: number; reason: string } {
  const characters = [...text];
  let position = characters.length;
  while (position > 1) {
    const beginning = characters.slice(0, position - 1).join("");
    try {
      new RegExp(beginning, "u");
      break;
    } catch (error) {
      if (reasonOf(error) !== reason) break;
    }
    position--;
  }
  return { position, reason };
}

/** `Invalid regular expression: /(/u: Unterminated group` without the part before the reason. */
function reasonOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.slice(message.lastIndexOf(": ") + 2);
}

/** Any text but an empty one. */
export function text(text: string): string {
  if (text.includes("\0")) throw new UsageError("must not hold a NUL character");
  return text;
}
