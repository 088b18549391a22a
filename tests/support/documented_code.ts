const DOCS = new URL("../../docs/", import.meta.url);

/** The blocks of code in a section of a document of docs/, those in a list included. */
export async function codeOf(
  heading: string,
  document = "consuming.md",
  level = 2,
): Promise<string[]> {
  const text = await Deno.readTextFile(new URL(document, DOCS));
  const start = text.indexOf(`\n${"#".repeat(level)} ${heading}\n`);
  if (start < 0) throw new Error(`${document} has no section ${heading}`);
  const end = text.indexOf("\n## ", start + 1);
  const section = text.slice(start, end < 0 ? text.length : end);
  return [...section.matchAll(/(?:^ {4}.*\n|^\n(?= {4}))+/gm)]
    .map(([block]) => block.replaceAll(/^ {4}/gm, "").trim())
    .filter((block) => block !== "");
}
