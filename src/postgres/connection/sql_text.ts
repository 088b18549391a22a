/**
 * What must not stand in a statement that a person reads on one line and copies: controls, line breaks,
 * what turns text round or is not seen, and spaces that are none.
 */
const HIDDEN = /(?! )[\p{C}\p{Z}]/u;
const EACH_HIDDEN = new RegExp(HIDDEN, "gu");

/** An identifier as SQL, always in quotes: `"My Table"`, or `U&"two\000Alines"`. */
export function quoteIdentifier(name: string): string {
  const quoted = `"${name.replaceAll('"', '""')}"`;
  if (!HIDDEN.test(name)) return quoted;
  const escape = (character: string) => {
    const code = character.codePointAt(0)!;
    return code > 0xFFFF ? `\\+${hex(code, 6)}` : `\\${hex(code, 4)}`;
  };
  return "U&" + quoted.replaceAll("\\", "\\\\").replace(EACH_HIDDEN, escape);
}

/** A text as SQL, whatever `standard_conforming_strings` is: `'it''s'`, or `E'two\u000Alines'`. */
export function quoteLiteral(text: string): string {
  const quoted = `'${text.replaceAll("'", "''")}'`;
  if (!text.includes("\\") && !HIDDEN.test(text)) return quoted;
  const escape = (character: string) => {
    const code = character.codePointAt(0)!;
    return code > 0xFFFF ? `\\U${hex(code, 8)}` : `\\u${hex(code, 4)}`;
  };
  return "E" + quoted.replaceAll("\\", "\\\\").replace(EACH_HIDDEN, escape);
}

/** Whether a name cannot be copied from a line as it is. */
export function isHidden(name: string): boolean {
  return HIDDEN.test(name);
}

function hex(code: number, digits: number): string {
  return code.toString(16).toUpperCase().padStart(digits, "0");
}
