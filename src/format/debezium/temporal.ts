import { fromText, type ValueEncoder } from "../typed/encoder.ts";
import type { Utf8Writer } from "../utf8_writer.ts";
import {
  inUnitsText,
  isoTime,
  isoTimestamp,
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
  const { json } = understood((text) => {
    if (text === "infinity" || text === "-infinity") return `"${text}"`;
    const moment = parseTimestamp(text);
    return moment && `"${isoTimestamp(moment, decimals)}Z"`;
  });
  return { json, copy: (bytes, start, end, out) => copyUtc(bytes, start, end, decimals, out) };
}

/** What most times are like: `2026-11-28 12:00:00.123+00`; anything else is read as text. */
function copyUtc(
  bytes: Uint8Array,
  start: number,
  end: number,
  decimals: number,
  out: Utf8Writer,
): boolean {
  const time = start + DATE_LENGTH, fraction = time + TIME_LENGTH, zone = end - UTC.length;
  if (zone < fraction || bytes[time] !== SPACE || bytes[fraction - 3] !== COLON) return false;
  for (let i = 0; i < UTC.length; i++) if (bytes[zone + i] !== UTC[i]) return false;
  const digits = zone === fraction ? 0 : zone - fraction - 1;
  if (digits > 0 && bytes[fraction] !== DOT || digits > decimals) return false;
  out.text('"');
  out.copy(bytes, start, time);
  out.text("T");
  out.copy(bytes, time + 1, zone);
  if (decimals > 0) out.text((digits === 0 ? "." : "") + ZEROS.slice(0, decimals - digits) + 'Z"');
  else out.text('Z"');
  return true;
}

const SPACE = 0x20, DOT = 0x2E, COLON = 0x3A;
const DATE_LENGTH = "2026-11-28".length, TIME_LENGTH = " 12:00:00".length;
const UTC = new TextEncoder().encode("+00");
const ZEROS = "000000";

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
  return moment && inUnitsText(moment, isMilliseconds ? 1000 : 1_000_000);
}
