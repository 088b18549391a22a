/**
 * Reads what `timestamptz_to_str` prints, ISO with the session's zone: `2026-11-22
 * 08:01:02.123456+00`, `…+05:30`, `…-00:01:15`. Gives microseconds since 1970-01-01 UTC; undefined for
 * anything else. By hand, not by a regular expression and a Date: it is read once a transaction.
 */
export function parsePostgresTimestamp(text: string): bigint | undefined {
  const yearEnd = text.indexOf("-", 1);
  if (yearEnd < 4 || yearEnd > 6) return undefined;
  const year = digits(text, 0, yearEnd);
  const month = separated(text, yearEnd, DASH);
  const day = separated(text, yearEnd + 3, DASH);
  const hour = separated(text, yearEnd + 6, SPACE);
  const minute = separated(text, yearEnd + 9, COLON);
  const second = separated(text, yearEnd + 12, COLON);
  if (!(year >= 0 && hour < 24 && minute < 60 && second < 60)) return undefined;
  if (!(month >= 1 && month <= 12 && day >= 1 && day <= daysInMonth(year, month))) return undefined;

  let at = yearEnd + 15;
  let micros = 0;
  if (text.charCodeAt(at) === DOT) {
    const start = ++at;
    while (isDigit(text.charCodeAt(at))) at++;
    if (at === start || at > start + 6) return undefined;
    micros = digits(text, start, at) * 10 ** (6 - (at - start));
  }
  const zone = parseZone(text, at);
  if (zone === undefined) return undefined;
  const seconds = daysSinceEpoch(year, month, day) * 86400 + hour * 3600 + minute * 60 + second -
    zone;
  const whole = seconds * 1_000_000 + micros;
  // Beyond the year 2255 a number would lose microseconds.
  return Number.isSafeInteger(whole)
    ? BigInt(whole)
    : BigInt(seconds) * 1_000_000n + BigInt(micros);
}

const SPACE = 0x20, PLUS = 0x2B, DASH = 0x2D, DOT = 0x2E, COLON = 0x3A;

/** Seconds east of Greenwich: `+05`, `-03:30`, `+00:53:28`. */
function parseZone(text: string, start: number): number | undefined {
  const sign = text.charCodeAt(start);
  if (sign !== PLUS && sign !== DASH) return undefined;
  let seconds = digits(text, start + 1, start + 3) * 3600;
  let at = start + 3;
  for (let unit = 60; at < text.length && unit >= 1; unit /= 60, at += 3) {
    const part = separated(text, at, COLON);
    seconds = part < 60 ? seconds + part * unit : NaN;
  }
  if (at !== text.length || Number.isNaN(seconds)) return undefined;
  return sign === DASH ? -seconds : seconds;
}

/** Two digits behind a separator; NaN when they are not there. */
function separated(text: string, at: number, separator: number): number {
  return text.charCodeAt(at) === separator ? digits(text, at + 1, at + 3) : NaN;
}

function digits(text: string, start: number, end: number): number {
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

function daysInMonth(year: number, month: number): number {
  if (month !== 2) return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
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
