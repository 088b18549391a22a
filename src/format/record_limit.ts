import { TooLargeError } from "../base/errors.ts";

/**
 * UTF-16 units, each at least a byte. Above the 10 MiB that a stream can be made to take, and far below
 * what the runtime's strings hold: written as JSON a text may be six times as long, and V8 does not
 * survive every text that is longer than its limit.
 */
const MAX_UNITS = 16 * 1024 * 1024;

/**
 * Throws a {@linkcode TooLargeError} where a part of a record has more units, or bytes, than any record:
 * nobody can have it, so it need not be written to its end.
 */
export function refuseTooLarge(length: number): void {
  if (length > MAX_UNITS) throw new TooLargeError(length);
}
