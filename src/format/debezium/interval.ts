import { fromText, type ValueEncoder } from "../typed/encoder.ts";

/** `io.debezium.time.MicroDuration.DAYS_PER_MONTH_AVG` */
const DAYS_PER_MONTH = 365.25 / 12;

const MAX_LONG = 9_223_372_036_854_775_807n;

/** As IntervalStyle postgres prints it: `-1 years +2 mons -3 days +04:05:06.5`. */
const INTERVAL =
  /^(?:([+-]?\d+) years?)? ?(?:([+-]?\d+) mons?)? ?(?:([+-]?\d+) days?)? ?(?:([+-]?)(\d+):(\d\d):(\d\d(?:\.\d+)?))?$/;

/**
 * Microseconds, with a month of 365.25 / 12 days, by the very sums of Debezium, whose number has no more
 * than 53 bits (`interval.handling.mode=numeric`).
 */
export const INTERVAL_MICROS: ValueEncoder = fromText((text) => {
  const match = INTERVAL.exec(text);
  if (match === null || text === "") return JSON.stringify(text);
  const [, years, months, days, sign, hours, minutes, seconds] = match;
  const of = (part: string | undefined) => Number(part ?? 0);
  const signed = (part: string | undefined) => sign === "-" ? -of(part) : of(part);
  const inDays = (of(years) * 12 + of(months)) * DAYS_PER_MONTH + of(days);
  const inSeconds = ((inDays * 24 + signed(hours)) * 60 + signed(minutes)) * 60 + signed(seconds);
  return String(toLong(inSeconds * 1e6));
});

/** Java's cast of a double. */
function toLong(value: number): bigint {
  const whole = BigInt(Math.trunc(value));
  if (whole > MAX_LONG) return MAX_LONG;
  return whole < -MAX_LONG ? -MAX_LONG - 1n : whole;
}
