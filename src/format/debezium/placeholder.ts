import { Buffer } from "node:buffer";
import { bareName, type TypeSpec } from "../typed/type_spec.ts";

/** What stands for a TOASTed value that was not sent: `unavailable.value.placeholder`. */
const PLACEHOLDER = "__debezium_unavailable_value";

const BASE64 = `"${Buffer.from(PLACEHOLDER).toString("base64")}"`;
const TEXTS = `["${PLACEHOLDER}"]`;
const BYTES_AS_NUMBERS = JSON.stringify([...Buffer.from(PLACEHOLDER)]);

/** By type; all others have the text. io.debezium.connector.postgresql.UnchangedToastedPlaceholder */
const PLACEHOLDERS: ReadonlyMap<string, string> = new Map([
  ["bytea", BASE64],
  ["text[]", TEXTS],
  ["character varying[]", TEXTS],
  ["character[]", TEXTS],
  ["json[]", TEXTS],
  ["jsonb[]", TEXTS],
  ["bytea[]", `[${BASE64}]`],
  ["integer[]", BYTES_AS_NUMBERS],
  ["bigint[]", BYTES_AS_NUMBERS],
  ["date[]", BYTES_AS_NUMBERS],
  ["hstore", JSON.stringify(JSON.stringify({ [PLACEHOLDER]: PLACEHOLDER }))],
  // The text's UUID by its MD5 (java.util.UUID.nameUUIDFromBytes).
  ["uuid[]", '["b68a35a7-17ad-35b3-af2a-ae46edb4545a"]'],
]);

/** The JSON that stands in `after` for an unchanged value of this type. */
export function placeholderOf(type: TypeSpec): string {
  return PLACEHOLDERS.get(type.element === undefined ? bareName(type) : type.name) ??
    `"${PLACEHOLDER}"`;
}
