import { createHash } from "node:crypto";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const HERE = fileURLToPath(new URL("../interop/", import.meta.url));

/** What the real readers need stays here, outside of the repository; a name has the hash of what was asked for. */
const CACHE = join(
  Deno.env.get("XDG_CACHE_HOME") ?? join(Deno.env.get("HOME") ?? "/tmp", ".cache"),
  "pg2kinesis",
  "interop",
);

/** Why something is not there; a test that needs it is skipped. */
export class Missing {
  constructor(readonly why: string) {}
}

/**
 * A test that needs what was prepared. It is skipped, with the reason, where that is missing: a tool that is
 * not installed, or a registry that does not answer.
 */
export function testWith<Needed extends object>(
  needed: Needed | Missing,
  name: string,
  fn: (needed: Needed, t: Deno.TestContext) => Promise<void>,
): void {
  if (needed instanceof Missing) {
    console.warn(`skipped: ${name}: ${needed.why}`);
    Deno.test({ name, ignore: true, fn: () => {} });
  } else Deno.test(name, (t) => fn(needed, t));
}

/** Only `deno task interop`, which sets it, downloads anything and takes the time to run it. */
const isAsked = Deno.env.get("PG2KINESIS_INTEROP") !== undefined;

export interface Python {
  readonly executable: string;
  /** `tests/interop/python/`. */
  readonly cwd: string;
  /** Makes the modules of `docs/examples/` known. */
  readonly env: Record<string, string>;
  /** Runs a module or a script, and gives what it prints. */
  run(args: readonly string[], input?: string): Promise<string>;
}

/** The Python of this machine, without packages. */
export async function plainPython(): Promise<Python | Missing> {
  const version = "import sys; sys.exit(sys.version_info < (3, 11))";
  if (await isFine("python3", ["-c", version])) return pythonAt("python3");
  return new Missing("there is no python3 of version 3.11 or newer");
}

/** A Python with the packages of `python/requirements.txt`. */
export async function pythonWithPackages(): Promise<Python | Missing> {
  const plain = await plainPython();
  if (plain instanceof Missing) return plain;
  return await prepared("python", `${HERE}python/requirements.txt`, async (directory, list) => {
    await output("python3", ["-m", "venv", directory]);
    const quiet = ["--quiet", "--disable-pip-version-check", "--no-input"];
    await output(`${directory}/bin/python`, ["-m", "pip", "install", ...quiet, "-r", list]);
  }, (directory) => pythonAt(`${directory}/bin/python`));
}

function pythonAt(executable: string): Python {
  const cwd = `${HERE}python`;
  const env = {
    PYTHONPATH: join(HERE, "../../docs/examples"),
    PYTHONDONTWRITEBYTECODE: "1",
    PYTHONUTF8: "1",
  };
  return {
    ...{ executable, cwd, env },
    run: (args, input) => output(executable, args, { input, cwd, env }),
  };
}

export interface Java {
  /** The arguments of `java` that run a class of the project. */
  commandLine(mainClass: string): string[];
  run(mainClass: string, input: string): Promise<string>;
}

/** The classes of a folder of `java/`, with what its `pom.xml` lists. */
export async function java(project: string): Promise<Java | Missing> {
  const folder = `${HERE}java/${project}`;
  for (const tool of ["javac", "mvn"]) {
    if (!await isFine(tool, ["--version"])) return new Missing(`${tool} is not installed`);
  }
  const libraries = await prepared(`java-${project}`, `${folder}/pom.xml`, async (directory) => {
    await Deno.mkdir(directory);
    const list = `-Dmdep.outputFile=${directory}/classpath`;
    await output("mvn", ["-q", "-B", "dependency:build-classpath", list], { cwd: folder });
  }, (directory) => ({ classpath: `${directory}/classpath` }));
  if (libraries instanceof Missing) return libraries;
  const classpath = (await Deno.readTextFile(libraries.classpath)).trim();
  const classes = await Deno.makeTempDir({ prefix: "pg2k_classes_" });
  addEventListener("unload", () => Deno.removeSync(classes, { recursive: true }));
  const sources = [...Deno.readDirSync(folder)].map(({ name }) => name)
    .filter((name) => name.endsWith(".java"));
  await output("javac", ["-d", classes, "-cp", classpath, ...sources], { cwd: folder });
  const commandLine = (mainClass: string) => ["-cp", `${classes}:${classpath}`, mainClass];
  return {
    commandLine,
    run: (mainClass, input) => output("java", commandLine(mainClass), { input }),
  };
}

/** A folder for each resource of Terraform's provider for AWS, with an `index.d.ts` that has its attributes. */
export async function terraformProvider(): Promise<{ readonly folder: string } | Missing> {
  if (!await isFine("npm", ["--version"])) return new Missing("npm is not installed");
  const list = `${HERE}terraform_provider.txt`;
  return await prepared("terraform-provider", list, async (directory) => {
    await Deno.mkdir(directory);
    const name = (await Deno.readTextFile(list)).replace(/^#.*\n/gm, "").trim();
    await output("npm", ["pack", "--silent", "--pack-destination", directory, name]);
    const [packed] = [...Deno.readDirSync(directory)];
    const only = ["--wildcards", "package/lib/*/index.d.ts"];
    await output("tar", ["-xzf", packed!.name, ...only], { cwd: directory });
    await Deno.remove(`${directory}/${packed!.name}`);
  }, (directory) => ({ folder: `${directory}/package/lib` }));
}

/** What was made of a list of packages, once for each content of the list. */
async function prepared<Needed extends object>(
  name: string,
  list: string,
  make: (directory: string, list: string) => Promise<void>,
  use: (directory: string) => Needed,
): Promise<Needed | Missing> {
  if (!isAsked) return new Missing("only deno task interop runs what has to be downloaded");
  const packages = (await Deno.readTextFile(list)).replace(/^#.*\n|<!--[^]*?-->\n/gm, "");
  const hash = createHash("sha256").update(packages).digest("hex").slice(0, 12);
  const directory = join(CACHE, `${name}-${hash}`);
  const mark = `${directory}.done`;
  // Test files run side by side, and each wants it.
  await Deno.mkdir(CACHE, { recursive: true });
  using lock = await Deno.open(`${directory}.lock`, { create: true, write: true });
  await lock.lock(true);
  if (await exists(mark)) return use(directory);
  await Deno.remove(directory, { recursive: true }).catch(() => {});
  console.warn(`downloading what ${list} lists to ${directory}`);
  try {
    await make(directory, list);
  } catch (error) {
    const lines = (error as Error).message.split("\n");
    const why = lines.find((line) => /\berror\b/i.test(line)) ?? lines[0];
    return new Missing(`what ${list} lists cannot be had: ${why}`);
  }
  await Deno.writeTextFile(mark, "");
  return use(directory);
}

const exists = (path: string) => Deno.stat(path).then(() => true, () => false);

async function isFine(command: string, args: string[]): Promise<boolean> {
  try {
    await output(command, args);
    return true;
  } catch {
    return false;
  }
}

interface Surroundings {
  readonly input?: string | undefined;
  readonly cwd?: string;
  readonly env?: Record<string, string> | undefined;
}

/** What a command prints. @throws {Error} with the end of its errors. */
export async function output(
  command: string,
  args: readonly string[],
  { input = "", cwd, env }: Surroundings = {},
): Promise<string> {
  const child = new Deno.Command(command, {
    args: [...args],
    ...cwd === undefined ? {} : { cwd },
    ...env === undefined ? {} : { env },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  // One that does not read to the end says why by its exit code.
  const written = writer.write(new TextEncoder().encode(input)).then(() => writer.close())
    .catch(() => {});
  const { success, stdout, stderr } = await child.output();
  await written;
  const text = new TextDecoder();
  if (success) return text.decode(stdout);
  // Maven ends its colours on stderr, and tells its errors on stdout.
  const [errors, rest] = [stderr, stdout].map((bytes) =>
    // deno-lint-ignore no-control-regex
    text.decode(bytes).replace(/\x1b\[[\d;]*m/g, "").trim()
  );
  const said = errors || rest!;
  throw new Error(`${command} ${args.slice(0, 3).join(" ")}: ${said.slice(-2000)}`);
}
