import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const DEBEZIUM_VERSION = "3.6.1.Final";
export const ORIGINAL_VERSION = "0.7.0";

/** What is there of the peers. */
export interface Installed {
  /** The original lies with all that it imports in a folder. */
  readonly original: { readonly python: string; readonly directory: string };
  readonly debezium: { readonly java: string; readonly directory: string };
}

export interface Found {
  readonly installed: Partial<Installed>;
  /** Why each of the others is not. */
  readonly missing: readonly string[];
}

/** Puts the peers into `cache` unless they are there already. */
export async function installPeers(cache: string): Promise<Found> {
  await Deno.mkdir(cache, { recursive: true });
  const installed: { -readonly [Name in keyof Installed]?: Installed[Name] } = {};
  const missing: string[] = [];
  try {
    installed.original = await installOriginal(cache);
  } catch (error) {
    missing.push(`the original: ${(error as Error).message}`);
  }
  try {
    installed.debezium = await installDebezium(cache);
  } catch (error) {
    missing.push(`Debezium Server: ${(error as Error).message}`);
  }
  return { installed, missing };
}

/** From PyPI, beside all that it needs, into a folder for Python 2.7. */
async function installOriginal(cache: string): Promise<Installed["original"]> {
  const python = await findPython();
  const directory = join(cache, `original-${ORIGINAL_VERSION}-python2.7`);
  if (await exists(join(directory, "pg2kinesis"))) return { python, directory };
  const pip = (...args: string[]) =>
    run(python, ["-m", "pip", "install", "--quiet", "--target", directory, ...args]);
  await pip("-r", fileURLToPath(new URL("./requirements.txt", import.meta.url)));
  // pip leaves it out where a folder is the target: protobuf would not be found.
  await Deno.writeTextFile(join(directory, "google/__init__.py"), "");
  await pip("--no-deps", `pg2kinesis==${ORIGINAL_VERSION}`);
  return { python, directory };
}

async function findPython(): Promise<string> {
  const versions = join(Deno.env.get("HOME") ?? "/root", ".pyenv/versions");
  const candidates = [Deno.env.get("PYTHON27"), "python2.7"];
  if (await exists(versions)) {
    for await (const { name } of Deno.readDir(versions)) {
      if (name.startsWith("2.7.")) candidates.push(join(versions, name, "bin/python"));
    }
  }
  for (const candidate of candidates) {
    if (candidate !== undefined && await works(candidate, ["-m", "pip", "--version"])) {
      return candidate;
    }
  }
  throw new Error("there is no Python 2.7 with pip; PYTHON27 may name one");
}

/** From Maven Central; it needs Java 21. */
async function installDebezium(cache: string): Promise<Installed["debezium"]> {
  const java = await findJava();
  const directory = join(cache, `debezium-server-${DEBEZIUM_VERSION}`);
  if (await exists(join(directory, "lib"))) return { java, directory };
  const artifact = `io.debezium:debezium-server-dist:${DEBEZIUM_VERSION}:tar.gz`;
  await run("mvn", [
    ...["-q", "-B", "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy"],
    ...[`-Dartifact=${artifact}`, `-DoutputDirectory=${cache}`],
  ]);
  const archive = join(cache, `debezium-server-dist-${DEBEZIUM_VERSION}.tar.gz`);
  await Deno.mkdir(directory);
  await run("tar", ["xzf", archive, "--strip-components=1", "-C", directory]);
  await Deno.remove(archive);
  return { java, directory };
}

async function findJava(): Promise<string> {
  const homes = [Deno.env.get("JAVA_HOME")];
  if (await exists("/usr/lib/jvm")) {
    for await (const { name } of Deno.readDir("/usr/lib/jvm")) homes.push(`/usr/lib/jvm/${name}`);
  }
  for (const home of homes) {
    if (home === undefined || !await exists(`${home}/release`)) continue;
    const release = await Deno.readTextFile(`${home}/release`);
    if (Number(/JAVA_VERSION="(\d+)/.exec(release)?.[1]) >= 21) return `${home}/bin/java`;
  }
  throw new Error("there is no Java 21 or later; JAVA_HOME may name one");
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

async function works(command: string, args: string[]): Promise<boolean> {
  try {
    return (await new Deno.Command(command, { args, stdout: "null", stderr: "null" }).output())
      .success;
  } catch {
    return false;
  }
}

async function run(command: string, args: readonly string[]): Promise<void> {
  const { success, stderr, stdout } = await new Deno.Command(command, { args: [...args] }).output();
  if (success) return;
  const decoder = new TextDecoder();
  throw new Error(`${command} failed: ${decoder.decode(stdout)}${decoder.decode(stderr)}`);
}
