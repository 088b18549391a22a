const MICROS = 1_000_000n;
/** Of the last formatted time: commits of one second follow one another. */
let lastSecond = -1n;
let lastSecondText = "";

/** A time in microseconds since 1970-01-01 UTC as RFC 3339 with six decimals. */
export function formatMicroseconds(time: bigint): string {
  const second = time / MICROS;
  if (second !== lastSecond) {
    lastSecond = second;
    lastSecondText = new Date(Number(second) * 1000).toISOString().slice(0, -"000Z".length);
  }
  return `${lastSecondText}${String(time % MICROS).padStart(6, "0")}Z`;
}
