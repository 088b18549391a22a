import { makeServerDirectory, serverIdentity, writeServerFile } from "./server_files.ts";
import { findFreePort } from "./postgres_server.ts";
import type { TestPostgres } from "./test_postgres.ts";
import { waitFor } from "./wait.ts";

/** Debian's package pgbouncer. */
const PGBOUNCER = "/usr/sbin/pgbouncer";

export const NO_PGBOUNCER = "skipped: needs pgbouncer (apt-get install pgbouncer)";

export function hasPgbouncer(): boolean {
  try {
    return Deno.statSync(PGBOUNCER).isFile;
  } catch {
    return false;
  }
}

/** A pooler before a server, that lets its superuser in; `settings` are lines of pgbouncer.ini. */
export async function startPgbouncer(
  server: TestPostgres,
  settings = "",
): Promise<AsyncDisposable & { readonly host: string; readonly port: number }> {
  const directory = await makeServerDirectory();
  const port = findFreePort();
  await writeServerFile(
    `${directory}/pgbouncer.ini`,
    `[databases]
* = host=${server.host} port=${server.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = trust
auth_file = ${directory}/users
logfile = ${directory}/log
${settings}
`,
  );
  await writeServerFile(`${directory}/users`, `"${server.superuser}" ""\n`);
  const process = new Deno.Command(PGBOUNCER, {
    args: [`${directory}/pgbouncer.ini`],
    ...serverIdentity(),
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  await waitFor(
    () =>
      Deno.connect({ hostname: "127.0.0.1", port }).then((it) => (it.close(), true), () => false),
    { what: "pgbouncer to listen" },
  );
  return {
    host: "127.0.0.1",
    port,
    [Symbol.asyncDispose]: async () => {
      process.kill("SIGKILL");
      await process.status;
      await Deno.remove(directory, { recursive: true });
    },
  };
}
