import { createHash } from "node:crypto";
import { type Column, UNCHANGED } from "../../decode/event.ts";

/**
 * `--mask-column`: the SHA-256, in hexadecimal, of the salt and PostgreSQL's text, both as UTF-8. The
 * type is then `text`. NULL stays NULL.
 */
export function maskColumn({ name, value }: Column, salt: string): Column {
  if (value === null || value === UNCHANGED) return { name, type: "text", value };
  const hash = createHash("sha256").update(salt).update(value).digest("hex");
  return { name, type: "text", value: hash };
}
