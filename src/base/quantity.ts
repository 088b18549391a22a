const UNITS = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB"] as const;

/** `1.5 GiB`: three digits are enough for a person. */
export function formatBytes(bytes: number): string {
  let unit = 0;
  while (bytes >= 1024 && unit < UNITS.length - 1) {
    bytes /= 1024;
    unit++;
  }
  return `${unit === 0 ? bytes : bytes.toPrecision(bytes < 1000 ? 3 : 4)} ${UNITS[unit]}`;
}

/** Names of which a line shows the first ones. */
export function someOf(names: readonly string[], shown = 10): string {
  const more = names.length - shown;
  return names.slice(0, shown).join(", ") + (more > 0 ? ` and ${more} more` : "");
}

/** `1 table`, `2 tables`. */
export function countOf(count: number, noun: string): string {
  return `${count} ${nounFor(count, noun)}`;
}

/** `table` of one, `tables` of any other number: for a log line, whose number is a field of its own. */
export function nounFor(count: number, noun: string): string {
  return count === 1 ? noun : `${noun}s`;
}

/** `12,345`; `Intl` would cost every start some milliseconds. */
export function formatCount(value: number): string {
  return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, ",");
}

const DAY_SECONDS = 86_400;

/** `3 ms`, `1.2 s`, `40 s`, `4 min`, `2 h 10 min`, `3 d`. */
export function formatSeconds(seconds: number): string {
  if (seconds === 0) return "0 s";
  if (seconds < 1) return `${Math.max(1, Math.round(seconds * 1000))} ms`;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  if (seconds < 99.5) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 100) return `${minutes} min`;
  if (seconds < 2 * DAY_SECONDS) {
    return `${Math.floor(minutes / 60)} h${minutes % 60 === 0 ? "" : ` ${minutes % 60} min`}`;
  }
  return `${Math.round(seconds / DAY_SECONDS)} d`;
}
