import { assertEquals } from "@std/assert";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
/** In a path with a space or a letter beyond ASCII, it names no file. */
const ENCODED = /import\.meta\.url\)\s*\.pathname/;

Deno.test("no module takes the path of a URL, which is percent-encoded, for one of a file", async () => {
  const found: string[] = [];
  let read = 0;
  const look = async (folder: string) => {
    for await (const { name, isDirectory } of Deno.readDir(folder)) {
      const path = join(folder, name);
      if (isDirectory) await look(path);
      else if (/\.[jt]s$/.test(name)) {
        read++;
        if (ENCODED.test(await Deno.readTextFile(path))) found.push(relative(ROOT, path));
      }
    }
  };
  for (const folder of ["src", "scripts", "tests"]) await look(join(ROOT, folder));
  assertEquals(found, []);
  if (read < 100) throw new Error(`only ${read} modules were read`);
});
