/** A log sequence number: a byte position in the write-ahead log, 64 bits, so never a JavaScript number. */
export type Lsn = bigint;

const MAX_LSN = 0xFFFF_FFFF_FFFF_FFFFn;

/** Parses PostgreSQL's text form, two hexadecimal halves around a slash: `16/B374D848`. */
export function parseLsn(text: string): Lsn {
  const halves = /^([0-9A-Fa-f]{1,8})\/([0-9A-Fa-f]{1,8})$/.exec(text);
  if (halves === null) throw new SyntaxError(`cannot read "${text}" as an LSN such as 16/B374D848`);
  return (BigInt(`0x${halves[1]}`) << 32n) | BigInt(`0x${halves[2]}`);
}

/** Gives PostgreSQL's text form, as `pg_lsn` prints it. */
export function formatLsn(lsn: Lsn): string {
  if (lsn < 0n || lsn > MAX_LSN) throw new RangeError(`an LSN has 64 bits, found ${lsn}`);
  // The halves as numbers, whose digits cost a third of those of a BigInt.
  const high = Number(lsn >> 32n), low = Number(lsn & 0xFFFF_FFFFn);
  return `${high.toString(16)}/${low.toString(16)}`.toUpperCase();
}
