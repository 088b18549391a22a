/**
 * Reads dates and times as PostgreSQL prints them with DateStyle ISO. By hand: a regular expression and
 * a Date would cost more than the rest of a row, and know no year 294276.
 */

/** A point in time: `seconds` since 1970-01-01 00:00, of the wall or of UTC, and `micros` from 0 to 999,999. */
export interface Moment {
  readonly seconds: number;
  readonly micros: number;
}

const DAY_SECONDS = 86_400;
const SPACE = 0x20, PLUS = 0x2B, DASH = 0x2D, DOT = 0x2E, COLON = 0x3A;
const BEFORE_CHRIST = " BC";

/** `2026-11-28`, `0044-03-15 BC`, `5874897-12-31`: days since 1970-01-01; undefined for anything else. */
export function parseDate(text: string): number | undefined {
  const isBefore = text.endsWith(BEFORE_CHRIST);
  const end = isBefore ? text.length - BEFORE_CHRIST.length : text.length;
  const days = daysAt(text, isBefore);
  return days !== undefined && text.indexOf("-", 1) + 6 === end ? days : undefined;
}

/**
 * `2026-11-28 12:00:00.123456`, with or without a zone (`+00`, `-03:30`), perhaps ` BC` behind it:
 * the time in UTC where there is a zone, else as the wall shows it; undefined for anything else.
 */
export function parseTimestamp(text: string): Moment | undefined {
  const isBefore = text.endsWith(BEFORE_CHRIST);
  const end = isBefore ? text.length - BEFORE_CHRIST.length : text.length;
  const days = daysAt(text, isBefore);
  const dateEnd = text.indexOf("-", 1) + 6;
  if (days === undefined || text.charCodeAt(dateEnd) !== SPACE) return undefined;
  const time = timeAt(text, dateEnd + 1, end);
  if (time === undefined) return undefined;
  return { seconds: days * DAY_SECONDS + time.seconds, micros: time.micros };
}

/** `13:51:30.5`, `24:00:00`, with or without a zone: since midnight, which may be negative in UTC. */
export function parseTime(text: string): Moment | undefined {
  return timeAt(text, 0, text.length);
}

function daysAt(text: string, isBefore: boolean): number | undefined {
  const yearEnd = text.indexOf("-", 1);
  if (yearEnd < 4) return undefined;
  const year = digits(text, 0, yearEnd);
  const month = twoDigits(text, yearEnd + 1);
  const day = text.charCodeAt(yearEnd + 3) === DASH ? twoDigits(text, yearEnd + 4) : NaN;
  if (!(year >= 0 && month >= 1 && month <= 12 && day >= 1 && day <= 31)) return undefined;
  return daysSinceEpoch(isBefore ? 1 - year : year, month, day);
}

function timeAt(text: string, start: number, end: number): Moment | undefined {
  const hour = twoDigits(text, start);
  const minute = text.charCodeAt(start + 2) === COLON ? twoDigits(text, start + 3) : NaN;
  const second = text.charCodeAt(start + 5) === COLON ? twoDigits(text, start + 6) : NaN;
  if (!(hour <= 24 && minute < 60 && second <= 60)) return undefined;
  let at = start + 8;
  let micros = 0;
  if (text.charCodeAt(at) === DOT) {
    const from = ++at;
    while (at < end && isDigit(text.charCodeAt(at))) at++;
    if (at === from || at > from + 6) return undefined;
    micros = digits(text, from, at) * 10 ** (6 - (at - from));
  }
  const zone = at === end ? 0 : zoneAt(text, at, end);
  if (zone === undefined) return undefined;
  return { seconds: hour * 3600 + minute * 60 + second - zone, micros };
}

/** Seconds east of Greenwich: `+05`, `-03:30`, `+00:53:28`. */
function zoneAt(text: string, start: number, end: number): number | undefined {
  const sign = text.charCodeAt(start);
  if (sign !== PLUS && sign !== DASH) return undefined;
  let seconds = twoDigits(text, start + 1) * 3600;
  let at = start + 3;
  for (let unit = 60; at < end && unit >= 1; unit /= 60, at += 3) {
    seconds = text.charCodeAt(at) === COLON ? seconds + twoDigits(text, at + 1) * unit : NaN;
  }
  if (at !== end || Number.isNaN(seconds)) return undefined;
  return sign === DASH ? -seconds : seconds;
}

/**
 * In units of which a second has so many, the rest of a unit cut off: as an integer's text, with every
 * digit. Beyond the year 2255 a number has not enough of them for microseconds, beyond 287396 for milliseconds.
 */
export function inUnitsText({ seconds, micros }: Moment, perSecond: 1000 | 1_000_000): string {
  const parts = Math.floor(micros / (1_000_000 / perSecond));
  const whole = seconds * perSecond + parts;
  return Number.isSafeInteger(whole)
    ? String(whole)
    : String(BigInt(seconds) * BigInt(perSecond) + BigInt(parts));
}

/** `fraction` digits of the second, all others cut; undefined: as many as there are, none when zero. */
export function isoTimestamp({ seconds, micros }: Moment, fraction: number | undefined): string {
  const days = Math.floor(seconds / DAY_SECONDS);
  return `${isoDate(days)}T${isoTime({ seconds: seconds - days * DAY_SECONDS, micros }, fraction)}`;
}

/** Of a time from 00:00:00 to 24:00:00. */
export function isoTime({ seconds, micros }: Moment, fraction: number | undefined): string {
  const whole = `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${
    two(seconds % 60)
  }`;
  const decimals = String(micros).padStart(6, "0");
  const shown = fraction === undefined ? decimals.replace(/0+$/, "") : decimals.slice(0, fraction);
  return shown === "" ? whole : `${whole}.${shown}`;
}

/** As ISO 8601 has it: a year of four digits, others with their sign; the year 0 is 1 BC. */
export function isoDate(days: number): string {
  const { year, month, day } = civil(days);
  const digits = String(Math.abs(year)).padStart(4, "0");
  return `${year < 0 ? "-" : year > 9999 ? "+" : ""}${digits}-${two(month)}-${two(day)}`;
}

function two(value: number): string {
  return value < 10 ? "0" + value : String(value);
}

function twoDigits(text: string, at: number): number {
  return digits(text, at, at + 2);
}

function digits(text: string, start: number, end: number): number {
  if (end > text.length || end <= start) return NaN;
  let value = 0;
  for (let at = start; at < end; at++) {
    const code = text.charCodeAt(at);
    if (!isDigit(code)) return NaN;
    value = value * 10 + code - 0x30;
  }
  return value;
}

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39;
}

/**
 * Days since 1970-01-01 in the Gregorian calendar. Years begin in March here, so that a leap day ends
 * one: http://howardhinnant.github.io/date_algorithms.html#days_from_civil
 */
function daysSinceEpoch(year: number, month: number, day: number): number {
  const y = month <= 2 ? year - 1 : year;
  const dayOfYear = Math.floor((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) + day - 1;
  const leapDays = Math.floor(y / 4) - Math.floor(y / 100) + Math.floor(y / 400);
  return y * 365 + leapDays + dayOfYear - 719_468;
}

/** http://howardhinnant.github.io/date_algorithms.html#civil_from_days */
function civil(days: number): { year: number; month: number; day: number } {
  const z = days + 719_468;
  const era = Math.floor(z / 146_097);
  const dayOfEra = z - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) -
      Math.floor(dayOfEra / 146_096)) / 365,
  );
  const dayOfYear = dayOfEra -
    (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const shifted = Math.floor((5 * dayOfYear + 2) / 153);
  const month = shifted < 10 ? shifted + 3 : shifted - 9;
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0);
  return { year, month, day: dayOfYear - Math.floor((153 * shifted + 2) / 5) + 1 };
}
