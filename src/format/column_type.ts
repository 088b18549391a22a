/** The PostgreSQL types that the formats distinguish; arrays, domains and all others are text. */
export type TypeClass = "integer" | "float" | "numeric" | "boolean" | "bytea" | "json" | "text";

/** Names as `format_type` prints them. */
const CLASSES: ReadonlyMap<string, TypeClass> = new Map([
  ["smallint", "integer"],
  ["integer", "integer"],
  ["bigint", "integer"],
  ["oid", "integer"],
  ["real", "float"],
  ["double precision", "float"],
  ["numeric", "numeric"],
  ["boolean", "boolean"],
  ["bytea", "bytea"],
  ["json", "json"],
  ["jsonb", "json"],
]);

/**
 * The class of a type by its name. Safe by name: `format_type` quotes or qualifies a user's type that
 * is called like one of these. `numeric` is the only one of them that can carry a modifier.
 */
export function classOfType(type: string): TypeClass {
  const known = CLASSES.get(type);
  if (known !== undefined) return known;
  return type.startsWith("numeric(") && type.endsWith(")") ? "numeric" : "text";
}

/** Whether the text of a float or numeric is NaN, Infinity or -Infinity, which JSON cannot write. */
export function isNotFinite(text: string): boolean {
  const first = text.charCodeAt(0);
  return first === UPPER_N || first === UPPER_I ||
    (first === MINUS && text.charCodeAt(1) === UPPER_I);
}

/** The same of a text that is still bytes. */
export function areNotFinite(bytes: Uint8Array, start: number): boolean {
  const first = bytes[start];
  return first === UPPER_N || first === UPPER_I ||
    (first === MINUS && bytes[start + 1] === UPPER_I);
}

const MINUS = 0x2d;
const UPPER_I = 0x49;
const UPPER_N = 0x4e;
