import { assert, assertEquals, assertMatch } from "@std/assert";
import { join } from "node:path";
import { connect } from "../../src/postgres/connection/connection.ts";
import { distrust, SocketGuard } from "../../src/libpq/socket_owner.ts";
import { uidOf } from "../../src/libpq/system_users.ts";
import { Pg2kinesis } from "../support/pg2kinesis.ts";
import { findFreePort } from "../support/postgres_server.ts";
import { authentication, FalseServer } from "../support/false_server.ts";
import { assertFails, postgresOptions } from "../support/postgres_options.ts";

const PASSWORD = "marked-secret-4713";
/** Nobody's, as far as `/etc/passwd` knows. */
const STRANGER = 4242;

/** Only root can give files away. */
const ignore = Deno.uid() !== 0;
if (ignore) console.warn("skipped: sockets of other users, which only root can make");

const socketOf = (folder: string, port: number) => `${folder}/.s.PGSQL.${port}`;

/** A server on a Unix socket that asks for the password. */
function askingServer(path: string): FalseServer {
  return FalseServer.listen(async (server, connection) => {
    await server.hear(connection);
    await connection.write(authentication(3));
    await server.hearOut(connection);
  }, { path });
}

async function inFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ dir: "/tmp", prefix: "pg2k_sock_" });
  try {
    await use(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("a run without a host passes by the socket of a stranger", { ignore }, async () => {
  const port = findFreePort();
  const path = socketOf("/tmp", port);
  await using server = askingServer(path);
  const run = async (...args: string[]) =>
    await Pg2kinesis.run(["-p", String(port), "-d", "d", "-u", "app", "check", ...args], {
      env: { PGPASSWORD: PASSWORD, AWS_REGION: "eu-central-1", PGCONNECT_TIMEOUT: "2" },
    });
  try {
    await Deno.chown(path, STRANGER, STRANGER);
    const { code, stderr, stdout } = await run();
    assertEquals(code, 1, stderr);
    assertMatch(
      stderr,
      new RegExp(`no host is given, and the socket ${path} belongs to uid ${STRANGER}, not to`),
    );
    assertMatch(stdout, new RegExp(`localhost:${port}`));
    assertEquals(server.heard, "");

    // The same socket of ours is taken, and named one is whosever it is.
    await Deno.chown(path, 0, 0);
    await Promise.race([run(), heard(server)]);
    await Deno.chown(path, STRANGER, STRANGER);
    server.heard = "";
    await Promise.race([run("-h", "/tmp"), heard(server)]);

    await Deno.chown(path, 0, 0);
    const verify = await run("--pg-sslmode", "verify-full", "--pg-sslrootcert", "system");
    assertEquals(verify.code, 2, verify.stderr);
    assertMatch(verify.stderr, /verify-full checks nothing on a Unix socket, and without a host/);
  } finally {
    await Deno.chown(path, 0, 0);
  }
});

async function heard(server: FalseServer): Promise<void> {
  while (!server.heard.includes(PASSWORD)) await new Promise((resolve) => setTimeout(resolve, 20));
}

Deno.test("a guessed socket is looked at again at every connect", { ignore }, async () => {
  await inFolder(async (folder) => {
    const path = socketOf(folder, 5432);
    await using server = askingServer(path);
    const options = (changes = {}) =>
      postgresOptions({ host: folder, port: 5432, superuser: "app" }, {
        hosts: [{ host: folder, port: 5432, guessed: true }],
        password: PASSWORD,
        ...changes,
      });
    await Deno.chown(path, STRANGER, STRANGER);
    // The server is away, and somebody has put his socket where it was: the run waits.
    await assertFails(
      connect(options(), "ordinary"),
      [`belongs to uid ${STRANGER}`, `--pg-host ${folder}`],
      true,
    );
    assertEquals(server.heard, "");
  });
});

Deno.test("requirepeer takes a socket of that user alone, named or not", { ignore }, async () => {
  const [user, uid] = ["nobody", uidOf("nobody")!];
  assert(uid > 0);
  await inFolder(async (folder) => {
    const path = socketOf(folder, 5432);
    const ask = (requirePeer: string) =>
      connect(
        postgresOptions({ host: folder, port: 5432, superuser: "app" }, {
          requirePeer,
          password: PASSWORD,
        }),
        "ordinary",
      );
    const server = askingServer(path);
    await assertFails(
      ask(user),
      [`requirepeer asks for a server of the user "${user}"`, "belongs to root (uid 0)"],
      true,
    );
    await assertFails(ask("no-such-user"), ["who is not in /etc/passwd"], true);
    await Deno.chown(path, uid, uid);
    await Deno.chmod(folder, 0o777);
    await assertFails(ask(user), [`everybody may replace files in ${folder}`], true);
    await Deno.chmod(folder, 0o755);
    await Deno.chown(folder, STRANGER, STRANGER);
    await assertFails(ask(user), [`uid ${STRANGER} may replace files in ${folder}`], true);
    await Deno.chown(folder, uid, uid);
    assertEquals(server.heard, "");
    void ask(user).catch(() => {});
    await heard(server);
    await server[Symbol.asyncDispose]();

    // TCP has no peer; as in libpq the setting says nothing of it.
    await assertFails(
      connect(
        postgresOptions({ host: "127.0.0.1", port: 1, superuser: "app" }, {
          requirePeer: user,
        }),
        "ordinary",
      ),
      ["connection refused"],
      true,
    );
  });
});

Deno.test("SocketGuard notices a socket that is replaced while it is connected to", async () => {
  await inFolder(async (folder) => {
    const path = socketOf(folder, 5432);
    const first = Deno.listen({ transport: "unix", path });
    const guard = new SocketGuard(path, { kind: "guessed" });
    assertEquals(guard.refusal(), undefined);
    first.close();
    assertMatch(guard.refusal()!.message, /was replaced while/);
    const second = Deno.listen({ transport: "unix", path });
    assertMatch(guard.refusal()!.message, /was replaced while/);
    second.close();

    await Deno.symlink(join(folder, "elsewhere"), path);
    assertMatch(distrust(path)!, /is a symbolic link/);
  });
});
