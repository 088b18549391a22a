import { assertEquals } from "@std/assert";

/** A record, whose numbers have all their digits. */
export interface Written {
  /** `c public.orders` */
  readonly what: string;
  readonly key: string | null;
  // deno-lint-ignore no-explicit-any
  readonly value: any;
}

/** `c public.orders after.total` for each field that is another one. */
export function differences(theirs: Written, mine: Written): string[] {
  const found: string[] = [];
  // deno-lint-ignore no-explicit-any
  const walk = (left: any, right: any, path: string) => {
    if (isEqual(left, right, path)) return;
    const areObjects = [left, right].every((each) =>
      typeof each === "object" && each !== null && !Array.isArray(each) &&
      !(each instanceof Numeral)
    );
    if (!areObjects) {
      found.push(`${theirs.what} ${path}`);
      return;
    }
    const names = new Set([...Object.keys(left), ...Object.keys(right)]);
    for (const name of names) walk(left[name], right[name], path === "" ? name : `${path}.${name}`);
    // The order of fields is the same, where they are.
    const common = (row: object) =>
      Object.keys(row).filter((name) => name in left && name in right);
    assertEquals(common(right), common(left), `${theirs.what} ${path}`);
  };
  if (theirs.key !== mine.key) {
    walk(theirs.key && JSON.parse(theirs.key), mine.key && JSON.parse(mine.key), "key");
  }
  walk(theirs.value, mine.value, "");
  return found;
}

// deno-lint-ignore no-explicit-any
function isEqual(left: any, right: any, path: string): boolean {
  // When it was made.
  if (/^ts_(?:ms|us|ns)$/.test(path) && left !== undefined && right !== undefined) return true;
  if (left instanceof Numeral && right instanceof Numeral) return left.equals(right);
  if (path === "after.h" && typeof left === "string" && typeof right === "string") {
    // Java's map has no order.
    const sorted = (text: string) => JSON.stringify(Object.entries(JSON.parse(text)).toSorted());
    return left === right || left.startsWith("{") && sorted(left) === sorted(right);
  }
  if (Array.isArray(left) && Array.isArray(right)) {
    return left.length === right.length &&
      left.every((each, index) => isEqual(each, right[index], "[]"));
  }
  if (path === "[]" && left instanceof Object && right instanceof Object) {
    return isEqual(Object.entries(left), Object.entries(right), "[]");
  }
  return left === right;
}

/** A number with all its digits. */
class Numeral {
  constructor(private readonly text: string) {}

  /** A float may be written in two ways; a reader sees the same double, and that it is one. */
  equals({ text }: Numeral): boolean {
    if (text === this.text) return true;
    const areFloats = /[.e]/i.test(text) && /[.e]/i.test(this.text);
    return areFloats && (Number(text) === Number(this.text) ||
      // Java prints the smallest real with one digit more.
      Math.fround(Number(text)) === Math.fround(Number(this.text)));
  }
}

// deno-lint-ignore no-explicit-any
export function parseExactly(json: string): any {
  const marked = json.replace(
    /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g,
    (token) => token.startsWith('"') ? token : `"\\u0000${token}"`,
  );
  return JSON.parse(
    marked,
    (_, value) =>
      typeof value === "string" && value.startsWith("\0") ? new Numeral(value.slice(1)) : value,
  );
}
