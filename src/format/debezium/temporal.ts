import { fromText, type ValueEncoder } from "../typed/encoder.ts";
import {
  isoTime,
  isoTimestamp,
  microsecondsText,
  type Moment,
  parseDate,
  parseTime,
  parseTimestamp,
} from "../typed/moment.ts";

/**
 * Dates and times in Debezium's default mode, `time.precision.mode=adaptive`: a number in the unit that the
 * column's precision asks for; with a zone, text in UTC. What is not understood stays PostgreSQL's text.
 */

/** Columns of at most so many decimals are in milliseconds. */
const MILLISECOND_DECIMALS = 3;
const DAY_SECONDS = 86_400;

/** Days since 1970-01-01; the infinities, of which Debezium makes a day like any other, stay text. */
export const DATE: ValueEncoder = understood((text) => {
  const days = parseDate(text);
  return days === undefined ? undefined : String(days);
});

/** Since midnight, in milliseconds up to time(3), else in microseconds. */
export function timeEncoder(modifiers: readonly number[]): ValueEncoder {
  const isMilliseconds = inMilliseconds(modifiers);
  return understood((text) => inUnit(parseTime(text), isMilliseconds));
}

/** Since 1970, the wall's time read as UTC: in milliseconds up to timestamp(3), else in microseconds. */
export function timestampEncoder(modifiers: readonly number[]): ValueEncoder {
  const isMilliseconds = inMilliseconds(modifiers);
  const infinite = isMilliseconds ? INFINITE_MILLISECONDS : INFINITE_MICROSECONDS;
  return understood((text) => infinite[text] ?? inUnit(parseTimestamp(text), isMilliseconds));
}

function inMilliseconds([precision]: readonly number[]): boolean {
  return precision !== undefined && precision <= MILLISECOND_DECIMALS;
}

/** pgjdbc's `PGStatement.DATE_POSITIVE_INFINITY` and its counterpart, as Debezium converts them. */
const INFINITE_MICROSECONDS: Readonly<Record<string, string>> = {
  infinity: "9223372036825200000",
  "-infinity": "-9223372036832400000",
};
const INFINITE_MILLISECONDS: Readonly<Record<string, string>> = {
  infinity: "9223372036825200",
  "-infinity": "-9223372036832400",
};

/** `"2026-11-28T12:00:00.123456Z"`, with as many decimals as the column has. */
export function timestampTzEncoder([precision]: readonly number[]): ValueEncoder {
  const decimals = precision ?? 6;
  return understood((text) => {
    if (text === "infinity" || text === "-infinity") return `"${text}"`;
    const moment = parseTimestamp(text);
    return moment && `"${isoTimestamp(moment, decimals)}Z"`;
  });
}

/** `"11:51:30.123789Z"`. */
export const TIME_TZ: ValueEncoder = understood((text) => {
  const time = parseTime(text);
  if (time === undefined) return undefined;
  const seconds = time.seconds === DAY_SECONDS
    ? time.seconds
    : (time.seconds + 2 * DAY_SECONDS) % DAY_SECONDS;
  return `"${isoTime({ seconds, micros: time.micros }, undefined)}Z"`;
});

function understood(json: (text: string) => string | undefined): ValueEncoder {
  return fromText((text) => json(text) ?? JSON.stringify(text));
}

function inUnit(moment: Moment | undefined, isMilliseconds: boolean): string | undefined {
  if (moment === undefined) return undefined;
  return isMilliseconds
    ? String(moment.seconds * 1000 + Math.floor(moment.micros / 1000))
    : microsecondsText(moment);
}
