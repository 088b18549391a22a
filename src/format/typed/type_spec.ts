/** A type's name as `format_type` prints it, taken apart. */
export interface TypeSpec {
  /** Without modifier: `numeric`, `timestamp without time zone`, `public."My Type"`. */
  readonly name: string;
  /** `10` and `2` of `numeric(10,2)`; empty where there is none, or where the plugin does not tell it. */
  readonly modifiers: readonly number[];
  /** Of an array: the type of its elements, which have the modifiers too. */
  readonly element: TypeSpec | undefined;
}

/** `interval second(3)`, `timestamp(3) with time zone`, `numeric(10,2)[]`, `geometry(Point,4326)`. */
const PARTS = /^(.*?)(?:\(([^()"]*)\))?( with(?:out)? time zone)?$/s;

export function parseType(type: string): TypeSpec {
  if (type.endsWith("[]")) {
    const element = parseType(type.slice(0, -2));
    return { name: element.name + "[]", modifiers: element.modifiers, element };
  }
  const [, name = type, modifier, zone = ""] = PARTS.exec(type) ?? [];
  const numbers = modifier === undefined ? [] : modifier.split(",").map(Number);
  return {
    name: name + zone,
    modifiers: numbers.every(Number.isInteger) ? numbers : [],
    element: undefined,
  };
}

/** The name alone of a type that an extension brings, in whatever schema it lies: `ltree` of `public.ltree`. */
export function bareName({ name }: TypeSpec): string {
  return /^[a-z0-9_]+\.([a-z0-9_]+)$/.exec(name)?.[1] ?? name;
}
