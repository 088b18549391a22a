/** Writes pgoutput's messages of protocol version 1, for tests. */

export type TupleValue = string | Uint8Array | null | "unchanged" | { readonly binary: Uint8Array };

/** `unchanged` as a value: it cannot be a string of its own in these tests. */
export const UNCHANGED_VALUE = "unchanged";

type Part = Uint8Array | number[] | string;

const encoder = new TextEncoder();

export function join(...parts: Part[]): Uint8Array {
  return Uint8Array.from(
    parts.flatMap((part) => [...(typeof part === "string" ? encoder.encode(part) : part)]),
  );
}

export function int16(value: number): number[] {
  return [(value >> 8) & 0xFF, value & 0xFF];
}

export function int32(value: number): number[] {
  return [value >>> 24, (value >>> 16) & 0xFF, (value >>> 8) & 0xFF, value & 0xFF];
}

export function int64(value: bigint): number[] {
  const unsigned = BigInt.asUintN(64, value);
  return [...int32(Number(unsigned >> 32n)), ...int32(Number(unsigned & 0xFFFF_FFFFn))];
}

export function cstring(text: string): Uint8Array {
  return join(text, [0]);
}

export function begin(commitLsn: bigint, commitTime: bigint, xid: number): Uint8Array {
  return join("B", int64(commitLsn), int64(commitTime), int32(xid));
}

export function commit(commitLsn: bigint, endLsn: bigint, time = 0n, flags = 0): Uint8Array {
  return join("C", [flags], int64(commitLsn), int64(endLsn), int64(time));
}

export interface ColumnDescription {
  readonly name: string;
  readonly oid: number;
  readonly typmod?: number;
  readonly flags?: number;
}

export function relation(
  oid: number,
  schema: string,
  table: string,
  columns: readonly ColumnDescription[],
  identity = "d",
): Uint8Array {
  return join(
    "R",
    int32(oid),
    cstring(schema),
    cstring(table),
    identity,
    int16(columns.length),
    ...columns.map(({ name, oid, typmod = -1, flags = 0 }) =>
      join([flags], cstring(name), int32(oid), int32(typmod))
    ),
  );
}

export function type(oid: number, schema: string, name: string): Uint8Array {
  return join("Y", int32(oid), cstring(schema), cstring(name));
}

export function tuple(values: readonly TupleValue[]): Uint8Array {
  return join(
    int16(values.length),
    ...values.map((value) => {
      if (value === null) return join("n");
      if (value === UNCHANGED_VALUE) return join("u");
      if (typeof value === "object" && "binary" in value) {
        return join("b", int32(value.binary.length), value.binary);
      }
      const bytes = typeof value === "string" ? encoder.encode(value) : value;
      return join("t", int32(bytes.length), bytes);
    }),
  );
}

export function insert(oid: number, values: readonly TupleValue[]): Uint8Array {
  return join("I", int32(oid), "N", tuple(values));
}

/** `letter` is `K` for an old key, `O` for an old row, undefined for neither. */
export function update(
  oid: number,
  letter: "K" | "O" | undefined,
  old: readonly TupleValue[],
  values: readonly TupleValue[],
): Uint8Array {
  const before = letter === undefined ? join() : join(letter, tuple(old));
  return join("U", int32(oid), before, "N", tuple(values));
}

export function deletion(oid: number, letter: "K" | "O", old: readonly TupleValue[]): Uint8Array {
  return join("D", int32(oid), letter, tuple(old));
}

export function truncate(flags: number, ...oids: number[]): Uint8Array {
  return join("T", int32(oids.length), [flags], ...oids.map(int32));
}

export function logicalMessage(
  flags: number,
  lsn: bigint,
  prefix: string,
  content: Uint8Array,
): Uint8Array {
  return join("M", [flags], int64(lsn), cstring(prefix), int32(content.length), content);
}
