import { assert, assertEquals } from "@std/assert";
import { connect } from "../../../src/postgres/connection/connection.ts";
import { LoginBounds, StrangeAnswer } from "../../../src/postgres/connection/login_bounds.ts";
import { logged } from "../../support/logs.ts";
import { Authority, hasOpenssl, NO_OPENSSL } from "../../support/certificates.ts";
import { authentication, backendMessage, FalseServer } from "../../support/false_server.ts";
import { assertFails, postgresOptions } from "../../support/postgres_options.ts";

const PASSWORD = "marked-secret-4712";

const at = ({ port }: FalseServer, changes = {}) =>
  postgresOptions({ host: "127.0.0.1", port, superuser: "app" }, {
    password: PASSWORD,
    ...changes,
  });

/** A message that says it has `length` bytes, and as much of it as whoever listens takes. */
async function flood(connection: Deno.Conn, type: string, length: number): Promise<number> {
  const header = backendMessage(type);
  new DataView(header.buffer).setUint32(1, length);
  await connection.write(header);
  const piece = new Uint8Array(64 * 1024).fill(65);
  let sent = 0;
  try {
    while (sent < Math.min(length - 4, ENOUGH)) sent += await connection.write(piece);
    connection.close();
  } catch {
    // The client has had enough.
  }
  return sent;
}

/** More than the sockets' own buffers hold. */
const ENOUGH = 64 * 1024 * 1024;
const GIB = 1024 * 1024 * 1024;
const MIB = 1024 * 1024;

const STRANGE: readonly (readonly [type: string, length: number, after: Uint8Array[]])[] = [
  ["R", GIB, []],
  ["R", 2001, []],
  ["R", 7, []],
  ["E", GIB, []],
  ["E", 30_001, []],
  ["v", 2001, []],
  ["N", 100, []],
  ["H", 0x5454502f, []],
  ["S", GIB, [authentication(0)]],
  ["E", 30_001, [authentication(0)]],
  ["D", GIB, [authentication(0)]],
  ["R", 2001, [authentication(0)]],
];

Deno.test("connect takes no more from a server before the login than libpq does", async () => {
  for (const [type, length, before] of STRANGE) {
    let sent: Promise<number> | undefined;
    await using server = FalseServer.listen(async (server, connection) => {
      await server.hear(connection);
      for (const message of before) await connection.write(message);
      await (sent = flood(connection, type, length));
    });
    await assertFails(
      connect(at(server), "ordinary"),
      [JSON.stringify(type), /is that PostgreSQL\?/],
      true,
    );
    const bytes = await sent!;
    assert(bytes < 32 * MIB, `${type} ${length}: ${bytes} bytes were taken`);
  }
});

Deno.test("connect takes no more over TLS either", { ignore: !hasOpenssl() }, async () => {
  const authority = await Authority.create("Own");
  const certificate = await authority.sign("server", ["IP:127.0.0.1"]);
  let sent: Promise<number> | undefined;
  await using server = FalseServer.listen(async (server, connection) => {
    await server.hear(connection);
    await (sent = flood(connection, "R", GIB));
  }, {
    tls: { hostname: "127.0.0.1", port: 0, alpnProtocols: ["postgresql"], ...certificate },
  });
  await assertFails(
    connect(at(server, { sslMode: "require", sslNegotiation: "direct" }), "ordinary"),
    [/is that PostgreSQL\?/],
    true,
  );
  assert(await sent! < 32 * MIB);
});

if (!hasOpenssl()) console.warn(NO_OPENSSL);

Deno.test("LoginBounds gives the same answer however the bytes are cut", () => {
  const fine = [
    authentication(10, "SCRAM-SHA-256\0\0"),
    authentication(0),
    backendMessage("S", "a\0b\0"),
    backendMessage("N", "x".repeat(29_000)),
    backendMessage("K", new Uint8Array(8)),
    backendMessage("Z", "I"),
  ];
  const tooLong = backendMessage("S");
  new DataView(tooLong.buffer).setUint32(1, 30_001);
  for (const [messages, isStrange] of [[fine, false], [[...fine, tooLong], true]] as const) {
    const bytes = messages.flatMap((message) => [...message]);
    for (const size of [1, 2, 3, 4, 5, 7, 9, 64, bytes.length]) {
      const bounds = new LoginBounds();
      let strange = false;
      try {
        for (let start = 0; start < bytes.length; start += size) {
          bounds.take(new Uint8Array(bytes.slice(start, start + size)));
        }
      } catch (error) {
        assert(error instanceof StrangeAnswer, String(error));
        strange = true;
      }
      assertEquals(strange, isStrange, `cut into pieces of ${size}`);
    }
  }
});

Deno.test("connect gives no password to a server that asks for another proof than at first", async () => {
  for (
    const [first, second] of [
      [authentication(10, "SCRAM-SHA-256\0\0"), authentication(3)],
      [authentication(5, "salt"), authentication(3)],
    ] as const
  ) {
    await using server = FalseServer.listen(async (server, connection) => {
      await server.hear(connection);
      await connection.write(first);
      await server.hear(connection);
      await connection.write(second);
      await server.hearOut(connection);
    });
    await assertFails(connect(at(server), "ordinary"), [
      "asked for one proof, the server wants another",
    ], false);
    assert(!server.heard.includes(PASSWORD), server.heard);
  }
});

Deno.test("connect warns before it gives a password that others could have", async () => {
  const asksForIt = async (server: FalseServer, connection: Deno.Conn) => {
    await server.hear(connection);
    await connection.write(authentication(3));
    await server.hear(connection);
    await connection.write(backendMessage("E", "SFATAL\0VFATAL\0C28P01\0Mno\0\0"));
  };
  const warnings = async (server: FalseServer, changes = {}) => {
    const lines = await logged(async () => {
      await connect(at(server, changes), "ordinary").catch(() => {});
      await connect(at(server, changes), "ordinary").catch(() => {});
    });
    return lines.filter(({ level }) => level === "warning").map(({ text }) => text);
  };
  await using plain = FalseServer.listen(asksForIt);
  const [line, ...more] = await warnings(plain);
  assert(
    /asks for the password itself, .* in the clear: .* require_auth=scram/.test(line ?? ""),
    line,
  );
  assertEquals(more, []);
  assert(plain.heard.includes(PASSWORD));

  await using refusing = FalseServer.listen(asksForIt);
  const requireAuth = { text: "scram-sha-256", allowed: new Set(["scram-sha-256"] as const) };
  assertEquals(await warnings(refusing, { requireAuth }), []);
  assert(!refusing.heard.includes(PASSWORD), refusing.heard);

  if (!hasOpenssl()) return console.warn(NO_OPENSSL);
  const authority = await Authority.create("Own");
  const certificate = await authority.sign("localhost", ["DNS:localhost", "IP:127.0.0.1"]);
  const tls = { hostname: "127.0.0.1", port: 0, alpnProtocols: ["postgresql"], ...certificate };
  const direct = { sslMode: "require", sslNegotiation: "direct" };
  await using unchecked = FalseServer.listen(asksForIt, { tls });
  const [unverified] = await warnings(unchecked, direct);
  assert(/nobody checked its certificate/.test(unverified ?? ""), unverified);
  assert(unchecked.heard.includes(PASSWORD));

  const dir = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${dir}/ca`, authority.cert);
    await using checked = FalseServer.listen(asksForIt, { tls });
    const verified = { ...direct, sslMode: "verify-full", sslRootCert: `${dir}/ca` };
    assertEquals(
      await warnings(checked, { ...verified, hosts: [{ host: "localhost", port: checked.port }] }),
      [],
    );
    assert(checked.heard.includes(PASSWORD));
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
