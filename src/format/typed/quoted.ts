/** A text in quotes as PostgreSQL prints it in arrays and hstores: a backslash before each quote and backslash. */
export interface Quoted {
  readonly text: string;
  /** Behind the closing quote. */
  readonly end: number;
}

const QUOTE = 0x22, BACKSLASH = 0x5C;

/** The quoted text that begins at `start`; undefined when none does. By hand, since it may have megabytes. */
export function quotedAt(source: string, start: number): Quoted | undefined {
  if (source.charCodeAt(start) !== QUOTE) return undefined;
  let text = "";
  let from = start + 1;
  for (let at = from; at < source.length; at++) {
    const unit = source.charCodeAt(at);
    if (unit === QUOTE) return { text: text + source.slice(from, at), end: at + 1 };
    if (unit !== BACKSLASH) continue;
    text += source.slice(from, at);
    // What it stands before begins the next part.
    from = ++at;
  }
  return undefined;
}
