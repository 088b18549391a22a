const DOCUMENT = new URL("../../docs/consuming.md", import.meta.url);

/** The blocks of code in a section of docs/consuming.md. */
export async function codeOf(heading: string): Promise<string[]> {
  const text = await Deno.readTextFile(DOCUMENT);
  const start = text.indexOf(`\n## ${heading}\n`);
  const section = text.slice(start, text.indexOf("\n## ", start + 1));
  return [...section.matchAll(/(?:^ {4}.*\n|^\n(?= {4}))+/gm)]
    .map(([block]) => block.replaceAll(/^ {4}/gm, "").trim())
    .filter((block) => block !== "");
}
