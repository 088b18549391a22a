import { assert, assertEquals } from "@std/assert";
import { join } from "node:path";
import { Authority, hasOpenssl, NO_OPENSSL } from "../support/certificates.ts";
import { startEmbeddedPostgres } from "../support/embedded_postgres.ts";
import { startKinesalite, type TestKinesis } from "../support/kinesalite.ts";
import { Pg2kinesis } from "../support/pg2kinesis.ts";

/** Easily found again, and different wherever it is quoted, escaped or percent-encoded. */
const PASSWORD = 'marked-secret "Ünlock" \\ %41 & {x}';
const WRONG = `${PASSWORD} wrong`;
const KEY = "marked-secret-private-key";
const AWS_SECRET = "marked-secret-aws-key";

const MARK = /marked.{0,3}secret|nlock|TWFya2VkLXNlY3JldC|bWFya2VkLXNlY3JldC/i;

interface Place {
  readonly port: number;
  /** Of this test, and gone after it. */
  readonly dir: string;
  /** One that takes a connection and hangs up. */
  readonly rude: number;
}

interface FailingLogin {
  readonly what: string;
  readonly args?: (place: Place) => string[];
  readonly env?: (place: Place) => Record<string, string>;
  readonly files?: Readonly<Record<string, string>>;
  readonly code?: number;
  /** The secret stands on the command line, where everyone can read it, by the operator's own hand. */
  readonly typed?: boolean;
  readonly says: RegExp;
}

const url = (port: number, user: string, password: string, query = "") =>
  `postgresql://${user}:${encodeURIComponent(password)}@127.0.0.1:${port}/postgres${query}`;

const LOGINS: readonly FailingLogin[] = [
  {
    what: "a wrong password in PGPASSWORD, by SCRAM",
    args: () => ["-u", "by_scram"],
    env: () => ({ PGPASSWORD: WRONG }),
    says: /wrong password/,
  },
  {
    what: "a wrong password that is a word of the message",
    args: () => ["-u", "by_scram"],
    env: () => ({ PGPASSWORD: "password" }),
    says: /wrong password/,
  },
  {
    what: "a wrong password in the password file, by MD5",
    args: () => ["-u", "by_md5"],
    env: ({ dir }) => ({ PGPASSFILE: join(dir, "pgpass") }),
    files: { pgpass: `*:*:*:*:${WRONG.replaceAll(/[\\:]/g, "\\$&")}\n` },
    says: /wrong password/,
  },
  {
    what: "a wrong password in the URL, as it is",
    args: () => [],
    env: ({ port }) => ({ PG2KINESIS_PG_URL: url(port, "by_text", WRONG) }),
    says: /wrong password/,
  },
  {
    what: "a wrong password in a service file",
    env: ({ dir }) => ({ PGSERVICE: "s", PGSERVICEFILE: join(dir, "services") }),
    files: { services: `[s]\nuser=by_scram\npassword=${WRONG}\n` },
    says: /wrong password/,
  },
  {
    what: "a role that is not there",
    args: () => ["-u", "nonesuch"],
    env: () => ({ PGPASSWORD: PASSWORD }),
    says: /nonesuch/,
  },
  {
    what: "a database that is not there",
    args: () => ["-u", "by_text"],
    env: () => ({ PGPASSWORD: PASSWORD, PGDATABASE: "nonesuch" }),
    says: /nonesuch/,
  },
  {
    what: "a role that may not replicate",
    args: () => ["-u", "by_text", "--create-slot"],
    env: () => ({ PGPASSWORD: PASSWORD }),
    says: /REPLICATION/,
  },
  {
    what: "a certificate of another authority",
    args: ({ dir }) => ["--pg-sslmode", "verify-full", "--pg-sslrootcert", join(dir, "other.crt")],
    env: ({ port }) => ({ PG2KINESIS_PG_URL: url(port, "by_scram", PASSWORD) }),
    says: /authority/,
  },
  {
    what: "a private key that is none",
    args: ({ dir }) => [
      ...["-u", "by_scram", "--pg-sslmode", "require"],
      ...["--pg-sslcert", join(dir, "other.crt"), "--pg-sslkey", join(dir, "key")],
    ],
    env: () => ({ PGPASSWORD: PASSWORD }),
    files: { key: `-----BEGIN PRIVATE KEY-----\n${KEY}\n-----END PRIVATE KEY-----\n` },
    says: /TLS|certificate|key/i,
  },
  {
    what: "no channel binding where it is required",
    env: ({ port }) => ({
      PG2KINESIS_PG_URL: url(port, "by_md5", PASSWORD, "?channel_binding=require&sslmode=require"),
    }),
    says: /channel.binding/,
  },
  {
    what: "a server that hangs up",
    args: ({ rude }) => ["-u", "by_scram", "-p", String(rude)],
    env: () => ({ PGPASSWORD: PASSWORD, PGSSLMODE: "disable" }),
    says: /cannot connect/,
  },
  {
    what: "hosts that are not there",
    env: () => ({ PG2KINESIS_PG_URL: url(1, "u", PASSWORD).replace("127", "127.0.0.1:2,127") }),
    says: /refused/,
  },
  {
    what: "a password that is not encoded",
    env: () => ({ PG2KINESIS_PG_URL: "postgresql://u:x@marked-secret@h/d" }),
    code: 2,
    says: /%40/,
  },
  {
    what: "a password that is encoded badly",
    env: () => ({ PG2KINESIS_PG_URL: "postgresql://u:marked-secret%zz@h/d" }),
    code: 2,
    says: /hexadecimal/,
  },
  {
    what: "a URL as the database's name",
    args: ({ port }) => ["-d", url(port, "by_scram", WRONG)],
    code: 2,
    typed: true,
    says: /--pg-url/,
  },
  {
    what: "a wrong password in a typed URL",
    args: ({ port }) => ["--pg-url", url(port, "by_scram", WRONG)],
    typed: true,
    says: /wrong password/,
  },
  {
    what: "a flag that must not be",
    args: () => ["--pg-password", PASSWORD],
    code: 2,
    typed: true,
    says: /PGPASSWORD/,
  },
];

const ignore = !hasOpenssl();
if (ignore) console.warn(NO_OPENSSL);

for (const format of ["text", "json"] as const) {
  Deno.test(`no failing login shows a secret, with --log-level debug --log-format ${format}`, {
    ignore,
  }, async () => {
    const [right, other] = [await Authority.create("Right"), await Authority.create("Other")];
    await using server = await startEmbeddedPostgres({
      tls: await right.sign("server", ["IP:127.0.0.1"]),
      hba: [
        "host all by_scram 127.0.0.1/32 scram-sha-256",
        "host all by_md5 127.0.0.1/32 md5",
        "host all all 127.0.0.1/32 password",
      ],
    });
    const literal = `'${PASSWORD}'`;
    await server.sql(`create role by_scram login replication password ${literal};
      create role by_text login password ${literal}; set password_encryption = 'md5';
      create role by_md5 login password ${literal}`);
    using rude = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const hangingUp = (async () => {
      for await (const connection of rude) connection.close();
    })().catch(() => {});

    await using kinesis = await startKinesalite();
    await kinesis.createStream("pg2kinesis");

    const queue = [...LOGINS];
    const worker = async () => {
      for (let login = queue.shift(); login !== undefined; login = queue.shift()) {
        const dir = await Deno.makeTempDir({ prefix: "pg2k_secret_" });
        try {
          const place = { port: server.port, dir, rude: rude.addr.port };
          const write = (name: string, text: string) =>
            Deno.writeTextFile(join(dir, name), text, { mode: 0o600 });
          await write("other.crt", other.cert);
          for (const [name, text] of Object.entries(login.files ?? {})) await write(name, text);
          await expectNoSecret(login, place, format, kinesis);
        } finally {
          await Deno.remove(dir, { recursive: true });
        }
      }
    };
    await Promise.all([worker(), worker(), worker()]);
    rude.close();
    await hangingUp;
  });
}

async function expectNoSecret(
  login: FailingLogin,
  place: Place,
  format: string,
  kinesis: TestKinesis,
) {
  await using program = await Pg2kinesis.start(
    [...login.args?.(place) ?? [], "--log-level", "debug", "--log-format", format],
    {
      env: {
        PGHOST: "127.0.0.1",
        PGPORT: String(place.port),
        PGDATABASE: "postgres",
        ...kinesis.env,
        AWS_SECRET_ACCESS_KEY: AWS_SECRET,
        ...login.env?.(place),
      },
    },
  );
  const titles = new Set<string>();
  while (program.exitCode === undefined) {
    for (const title of titlesOf(program.pid)) titles.add(title);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  const code = await program.waitForExit();
  const seen = `${login.what}: ${program.stdout}${program.stderr}`;
  assertEquals(code, login.code ?? 1, seen);
  assert(login.says.test(program.stderr), seen);
  assert(!MARK.test(program.stdout + program.stderr), seen);
  assert(Deno.build.os !== "linux" || titles.size > 1, "no title was seen");
  if (!login.typed) {
    for (const title of titles) assert(!MARK.test(title), title);
  }
}

/** What other users of the machine see of a process: its command line, and its threads' names. */
function titlesOf(pid: number): string[] {
  try {
    const threads = [...Deno.readDirSync(`/proc/${pid}/task`)].map(({ name }) => name);
    return [
      Deno.readTextFileSync(`/proc/${pid}/cmdline`),
      ...threads.map((thread) => Deno.readTextFileSync(`/proc/${pid}/task/${thread}/comm`)),
    ];
  } catch {
    // It has ended, or this is not Linux.
    return [];
  }
}
