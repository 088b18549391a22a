/**
 * What ends a line for anyone, moves a terminal's cursor, or turns round the order of what is read: the
 * controls C0, DEL and C1, the separators of lines and paragraphs, and the marks, embeddings,
 * overrides and isolates of bidirectional text (Unicode Standard Annex 9).
 */
const UNSAFE = "\\p{Cc}\\p{Zl}\\p{Zp}\\u061C\\u200E\\u200F\\u202A-\\u202E\\u2066-\\u2069";

const unsafe = new RegExp(`[${UNSAFE}]`, "gu");
/** JSON escapes C0 in its strings itself; between them it may have line feeds. */
const unsafeInJson = new RegExp(`(?![\\0-\\x1F])[${UNSAFE}]`, "gu");
const notPlain = new RegExp(`[\\s"=\\\\${UNSAFE}]`, "u");

/** A text for one line of a log or a terminal: what would not stay there is escaped, as in JSON. */
export function printable(text: string): string {
  return text.replace(unsafe, escapeCharacter);
}

/** The same JSON, of which a terminal shows what is there. */
export function printableJson(json: string): string {
  return json.replace(unsafeInJson, escapeCharacter);
}

/** Whether the text is unambiguous within a line as it is. */
export function isPlainWord(text: string): boolean {
  return text !== "" && !notPlain.test(text);
}

function escapeCharacter(character: string): string {
  if (character === "\n") return "\\n";
  if (character === "\r") return "\\r";
  if (character === "\t") return "\\t";
  return "\\u" + character.charCodeAt(0).toString(16).padStart(4, "0");
}
