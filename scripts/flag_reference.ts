/** Writes the reference of all flags into README.md, from the flag table. */
import { withFlagReference } from "../src/cli/help.ts";

const path = new URL("../README.md", import.meta.url);
const readme = await Deno.readTextFile(path);
const fresh = withFlagReference(readme);
if (fresh !== readme) await Deno.writeTextFile(path, fresh);
console.log(fresh === readme ? "README.md is up to date" : "README.md has a new flag reference");
