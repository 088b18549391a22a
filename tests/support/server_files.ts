import { join } from "node:path";
import { waitFor } from "./wait.ts";

/** One installation of PostgreSQL. */
export interface PostgresInstallation {
  /** Directory of `initdb` and `postgres`. */
  readonly binDir: string;
  /** Names the installation in cached files. */
  readonly label: string;
  /** Where a template cluster may be kept. */
  readonly cacheDir: string;
}

/** PostgreSQL refuses to run as root; a test that is root starts it as this user (nobody). */
const NOBODY = 65534;
export const SUPERUSER = "postgres";

/** The user and group that PostgreSQL runs as: ours, or nobody when we are root. */
export function serverIdentity(): { uid?: number; gid?: number } {
  return Deno.uid() === 0 ? { uid: NOBODY, gid: NOBODY } : {};
}

/** The socket lies in it too, and a socket's path has at most 107 bytes. */
export async function makeServerDirectory(): Promise<string> {
  let directory = await Deno.makeTempDir({ prefix: "pg2k_" });
  if (directory.length > 80) {
    await Deno.remove(directory);
    directory = await Deno.makeTempDir({ dir: "/tmp", prefix: "pg2k_" });
  }
  await giveToServer(directory);
  return directory;
}

/** A cluster made once by initdb; copying it takes a tenth of making one. */
export async function templateCluster(installation: PostgresInstallation): Promise<string> {
  const template = join(installation.cacheDir, `cluster-${installation.label}`);
  await makeOnce(template, async (path) => {
    await initdb(installation, path, []);
  });
  return template;
}

/**
 * Makes `path` by `make`, unless it is there. Several processes may try at once: each makes a copy
 * under another name, and the first to rename it wins.
 */
export async function makeOnce(
  path: string,
  make: (path: string) => Promise<void>,
): Promise<void> {
  if (await exists(path)) return;
  const draft = `${path}.${crypto.randomUUID()}`;
  try {
    await make(draft);
    await Deno.rename(draft, path);
  } catch (error) {
    if (!(await exists(path))) throw error;
  } finally {
    if (await exists(draft)) await Deno.remove(draft, { recursive: true });
  }
}

export async function initdb(
  installation: PostgresInstallation,
  dataDir: string,
  args: readonly string[],
): Promise<void> {
  // deno-fmt-ignore
  await run(join(installation.binDir, "initdb"), [
    "-D", dataDir, "-U", SUPERUSER, "-A", "trust", "--no-sync",
    "--encoding=UTF8", "--locale=C", ...args,
  ], serverIdentity());
}

export async function run(
  command: string,
  args: string[],
  identity: { uid?: number; gid?: number } = {},
): Promise<void> {
  const output = await new Deno.Command(command, {
    args,
    cwd: "/",
    env: { LC_ALL: "C" },
    ...identity,
  }).output();
  if (!output.success) {
    const text = new TextDecoder().decode(output.stderr).trim();
    throw new Error(`${command} ${args.join(" ")} failed with exit code ${output.code}: ${text}`);
  }
}

export async function writeServerFile(path: string, text: string): Promise<void> {
  await Deno.writeTextFile(path, text);
  await Deno.chmod(path, 0o600);
  await giveToServer(path);
}

/**
 * A directory for files that outlive the run. It belongs to the server's user, since initdb makes
 * the template cluster there.
 */
export async function postgresCacheDir(): Promise<string> {
  const owner = serverIdentity().uid ?? Deno.uid();
  const root = Deno.env.get("TMPDIR") ?? "/tmp";
  const directory = join(root, `pg2kinesis-postgres-${Deno.uid()}`);
  try {
    await Deno.mkdir(directory, { mode: 0o755 });
    await giveToServer(directory);
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    await waitFor(async () => (await Deno.lstat(directory)).uid === owner, {
      what: `${directory} to belong to the user ${owner}: remove it`,
      timeoutMs: 1000,
    });
  }
  return directory;
}

/** Makes the user that runs the server the owner. */
export async function giveToServer(path: string): Promise<void> {
  const { uid, gid } = serverIdentity();
  if (uid !== undefined && gid !== undefined) await Deno.chown(path, uid, gid);
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.lstat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
