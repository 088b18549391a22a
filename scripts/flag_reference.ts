/** Writes the reference of all flags into docs/flags.md, from the flag table. */
import { withFlagReference } from "../src/cli/help.ts";

const path = new URL("../docs/flags.md", import.meta.url);
const page = await Deno.readTextFile(path);
const fresh = withFlagReference(page);
if (fresh !== page) await Deno.writeTextFile(path, fresh);
console.log(
  fresh === page ? "docs/flags.md is up to date" : "docs/flags.md has a new flag reference",
);
