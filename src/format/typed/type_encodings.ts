import type { Catalog } from "../../postgres/catalog/known_table.ts";
import type { ColumnEncoding, EncodingOf } from "./encoded_object.ts";
import { fromText } from "./encoder.ts";
import { parseType, type TypeSpec } from "./type_spec.ts";

/**
 * Thrown where nobody knows yet whether a type is a domain: the catalog has been asked for it and must be
 * read again.
 */
export class UnreadTypeError extends Error {
  override name = "UnreadTypeError";
}

/**
 * Gives the encoding of types by their names, that of a domain by its base type. A type is only taken apart
 * once for each of the shapes that have it.
 */
export function typeEncodings(
  catalog: Pick<Catalog, "domainBase">,
  encodingOf: (type: TypeSpec) => ColumnEncoding,
): EncodingOf {
  return (type) => {
    const spec = parseType(type);
    const base = withoutDomain(spec, catalog);
    return base === spec ? encodingOf(spec) : cautious(encodingOf(base));
  };
}

/** A type by its name, or the one below it where it is a domain. */
export function resolvedType(type: string, catalog: Pick<Catalog, "domainBase">): TypeSpec {
  return withoutDomain(parseType(type), catalog);
}

/** The type below a domain, or below the domain that an array's elements are of. */
function withoutDomain(spec: TypeSpec, catalog: Pick<Catalog, "domainBase">): TypeSpec {
  if (spec.element !== undefined) {
    const element = withoutDomain(spec.element, catalog);
    return element === spec.element ? spec : {
      name: element.name + "[]",
      modifiers: element.modifiers,
      element,
    };
  }
  const base = catalog.domainBase(spec.name);
  if (base === undefined) throw new UnreadTypeError(`the type ${spec.name} was not read yet`);
  return base === null ? spec : parseType(base);
}

/** The domain may have had another base when the value was written: its bytes are not taken on trust. */
function cautious({ encoder, unchanged }: ColumnEncoding): ColumnEncoding {
  return { encoder: fromText(encoder.json), unchanged };
}
