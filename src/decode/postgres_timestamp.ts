/**
 * Reads what `timestamptz_to_str` prints, ISO with the session's zone: `2026-11-22
 * 08:01:02.123456+00`, `…+05:30`, `…-00:01:15`. Gives microseconds since 1970-01-01 UTC; undefined for
 * anything else.
 */
export function parsePostgresTimestamp(text: string): bigint | undefined {
  const match = TIMESTAMP.exec(text);
  if (match === null) return undefined;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number) as Six;
  const micros = Number((match[7] ?? "").padEnd(6, "0"));
  const [zoneHour, zoneMinute, zoneSecond] = match.slice(9, 12).map((part) =>
    Number(part ?? 0)
  ) as [
    number,
    number,
    number,
  ];
  const zone = (match[8] === "-" ? -1 : 1) * (zoneHour * 3600 + zoneMinute * 60 + zoneSecond);
  const date = new Date(0);
  // Unlike Date.UTC this takes the years 1 to 99 as they are.
  date.setUTCFullYear(year, month - 1, day);
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return undefined;
  const seconds = date.getTime() / 1000 + hour * 3600 + minute * 60 + second - zone;
  return BigInt(seconds) * 1_000_000n + BigInt(micros);
}

type Six = [number, number, number, number, number, number];

const TIMESTAMP =
  /^(\d{4,6})-(\d\d)-(\d\d) ([01]\d|2[0-3]):([0-5]\d):([0-5]\d)(?:\.(\d{1,6}))?([+-])(\d\d)(?::([0-5]\d)(?::([0-5]\d))?)?$/;

export function isPostgresTimestamp(text: string): boolean {
  return parsePostgresTimestamp(text) !== undefined;
}
