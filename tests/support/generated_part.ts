/**
 * A document with a fresh table between `<!-- NAME:begin -->` and `<!-- NAME:end -->`.
 * @throws {Error} when the markers are not there exactly once, in their order.
 */
export function withGeneratedPart(document: string, name: string, part: string): string {
  const [begin, end] = [`<!-- ${name}:begin -->`, `<!-- ${name}:end -->`];
  const [before, rest, ...more] = document.split(begin);
  const [, after, ...others] = (rest ?? "").split(end);
  if (after === undefined || more.length > 0 || others.length > 0) {
    throw new Error(`the document needs one ${begin} and one ${end} behind it`);
  }
  // deno fmt would pad the columns to the longest cell.
  return `${before}${begin}\n<!-- deno-fmt-ignore-start -->\n\n${part}\n` +
    `<!-- deno-fmt-ignore-end -->\n${end}${after}`;
}
