import { assert, assertEquals } from "@std/assert";

const ROOT = new URL("../../", import.meta.url);

interface DenoInfo {
  readonly modules: readonly { readonly npmPackage?: string }[];
  /** Of all that the lock file has. */
  readonly npmPackages: Readonly<
    Record<string, { readonly name: string; readonly dependencies: readonly string[] }>
  >;
}

const read = (path: string) => Deno.readTextFile(new URL(path, ROOT));

Deno.test("the executable has nothing of the standard library's republication in it", async () => {
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", "main.ts"],
    cwd: ROOT,
  }).output();
  const { modules, npmPackages } = JSON.parse(new TextDecoder().decode(stdout)) as DenoInfo;
  const keys = new Set(modules.flatMap(({ npmPackage }) => npmPackage ?? []));
  // A set goes on with what is added on the way.
  for (const key of keys) for (const needed of npmPackages[key]!.dependencies) keys.add(needed);
  const names = [...keys].map((key) => npmPackages[key]!.name);
  assert(names.includes("pg"), names.join());
  assertEquals(names.filter((name) => /deno-std|opentelemetry|prom-client/.test(name)), []);
});

Deno.test("a machine that reaches JSR changes two lines of the import map", async () => {
  const { imports }: { imports: Record<string, string> } = JSON.parse(await read("deno.json"));
  const republished = Object.entries(imports).filter(([, target]) => /deno-std/.test(target));
  assertEquals(republished.map(([name]) => name), ["@std/assert", "@std/cli/parse-args"]);
});

Deno.test("CONTRIBUTING.md says of each package why it is there", async () => {
  const { imports }: { imports: Record<string, string> } = JSON.parse(await read("deno.json"));
  const page = await read("CONTRIBUTING.md");
  const section = page.slice(page.indexOf("## Dependencies"), page.indexOf("## Two versions"));
  for (const target of Object.values(imports)) {
    const [, name] = /^npm:((?:@[^/]+\/)?[^@/]+)@\d/.exec(target)!;
    const family = name!.replace(/\/.*/, "/*");
    assert(
      section.includes(`\`npm:${name}\``) || section.includes(`\`${name}\``) ||
        section.includes(`\`${family}\``),
      `${name} is in deno.json, and CONTRIBUTING.md does not say why`,
    );
  }
});
