import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import { parseCommandLine } from "../../src/cli/parse.ts";
import { UsageError } from "../../src/base/errors.ts";
import type { PostgresOptions } from "../../src/options.ts";
import { type Env, hostWith, parseRun, usageError } from "../support/command_line.ts";

const postgres = (args: readonly string[], env: Env = {}, files: Record<string, string> = {}) =>
  parseRun(args, env, files).options.postgres;

const SERVICE = { "/home/me/.pg_service.conf": "[s]\nhost=service\nport=4\n" };

Deno.test("resolveConnection prefers flags, URL, variables of flags, service, libpq's variables", () => {
  const env: Env = { HOME: "/home/me" };
  const seen: string[] = [];
  const look = (args: string[] = []) => {
    const { host, port } = postgres(args, env, SERVICE).hosts[0]!;
    seen.push(`${host}:${port}`);
  };
  look();
  Object.assign(env, { PGHOST: "libpq", PGPORT: "5" });
  look();
  Object.assign(env, { PGSERVICE: "s" });
  look();
  Object.assign(env, { PG2KINESIS_PG_URL: "postgres://url-variable:3" });
  look();
  Object.assign(env, { PG2KINESIS_PG_HOST: "variable" });
  look();
  look(["--pg-url", "postgres://url"]);
  look(["--pg-url", "postgres://url:2"]);
  look(["--pg-url", "postgres://url:2", "-p", "1"]);
  look(["--pg-url", "postgres://url:2", "-p", "1", "-h", "flag"]);
  assertEquals(seen, [
    "localhost:5432",
    "libpq:5",
    "service:4",
    "url-variable:3",
    "variable:3",
    // A URL that is typed replaces the variable's, whose port is gone with it.
    "url:4",
    "url:2",
    "url:1",
    "flag:1",
  ]);
});

Deno.test("resolveConnection takes every setting from libpq's variables", () => {
  const files = { "/ca": "", "/cert": "", "/key": "" };
  const expected: PostgresOptions = {
    hosts: [{ host: "h", port: 6000 }],
    database: "d",
    user: "u",
    password: "secret",
    sslMode: "verify-ca",
    sslRootCert: "/ca",
    sslCert: "/cert",
    sslKey: "/key",
    auth: "password",
    sslNegotiation: "direct",
    channelBinding: "require",
    requireAuth: { text: "password,md5", allowed: new Set(["password", "md5"]) },
    requirePeer: "pg",
    targetSessionAttrs: "primary",
    connectTimeoutMs: 7000,
    sessionOptions: "-c work_mem=1MB",
    passwordFile: "/pass",
    applicationName: "me",
  };
  assertEquals(
    postgres([], {
      PGHOST: "h",
      PGPORT: "6000",
      PGDATABASE: "d",
      PGUSER: "u",
      PGPASSWORD: "secret",
      PGSSLMODE: "verify-ca",
      PGSSLROOTCERT: "/ca",
      PGSSLCERT: "/cert",
      PGSSLKEY: "/key",
      PGSSLNEGOTIATION: "direct",
      PGCHANNELBINDING: "require",
      PGREQUIREAUTH: "password,md5",
      PGREQUIREPEER: "pg",
      PGTARGETSESSIONATTRS: "primary",
      PGCONNECT_TIMEOUT: "7",
      PGOPTIONS: "-c work_mem=1MB",
      PGPASSFILE: "/pass",
      PGAPPNAME: "me",
    }, files),
    expected,
  );
  assertEquals(
    postgres(
      [],
      {
        PG2KINESIS_PG_URL:
          "postgres://u:secret@h:6000/d?sslmode=verify-ca&sslrootcert=/ca&sslcert=/cert&sslkey=/key" +
          "&sslnegotiation=direct&channel_binding=require&require_auth=password,md5&requirepeer=pg&target_session_attrs=primary&connect_timeout=7&options=-c%20work_mem%3D1MB" +
          "&passfile=/pass&application_name=me",
      },
      files,
    ),
    expected,
  );
});

Deno.test("resolveConnection has defaults for the rest", () => {
  const command = parseCommandLine(["-d", "x"], { USER: "os" }, hostWith());
  assertEquals(command.kind === "run" && command.options.postgres, {
    hosts: [{ host: "localhost", port: 5432 }],
    database: "x",
    user: "os",
    password: undefined,
    sslMode: "prefer",
    sslRootCert: undefined,
    sslCert: undefined,
    sslKey: undefined,
    auth: "password",
    sslNegotiation: "postgres",
    channelBinding: "prefer",
    requireAuth: undefined,
    requirePeer: undefined,
    targetSessionAttrs: "any",
    connectTimeoutMs: 10_000,
    sessionOptions: undefined,
    passwordFile: undefined,
    applicationName: "pg2kinesis",
  });
});

Deno.test("resolveConnection lets PGTZ win over the options, as libpq does", () => {
  const options = (env: Env) => postgres([], env).sessionOptions;
  assertEquals(options({ PGTZ: "" }), undefined);
  assertEquals(options({ PGTZ: "Asia/Tokyo" }), "-c TimeZone=Asia/Tokyo");
  assertEquals(
    options({ PGTZ: "<+03 x\\>-3", PGOPTIONS: "-c TimeZone=UTC" }),
    "-c TimeZone=UTC -c TimeZone=<+03\\ x\\\\>-3",
  );
});

Deno.test("resolveConnection looks for a local socket when no host is named", () => {
  const hostOf = (args: string[], files: string[], env: Env = {}) =>
    postgres(args, env, Object.fromEntries(files.map((file) => [file, ""]))).hosts[0]!.host;
  assertEquals(hostOf([], ["/tmp/.s.PGSQL.5432"]), "/tmp");
  assertEquals(
    hostOf([], ["/tmp/.s.PGSQL.5432", "/var/run/postgresql/.s.PGSQL.5432"]),
    "/var/run/postgresql",
  );
  assertEquals(hostOf(["-p", "5433"], ["/tmp/.s.PGSQL.5432"]), "localhost");
  assertEquals(hostOf(["-p", "5433"], ["/run/postgresql/.s.PGSQL.5433"]), "/run/postgresql");
  assertEquals(hostOf([], ["/tmp/.s.PGSQL.5432"], { PGHOST: "h" }), "h");
  assertEquals(
    hostOf(["--pg-url", "postgres:///d?host="], ["/tmp/.s.PGSQL.5432"], { PGHOST: "h" }),
    "/tmp",
  );
});

Deno.test("resolveConnection takes no socket of a stranger, and checks no certificate on a guessed one", () => {
  const both = ["/tmp/.s.PGSQL.5432", "/var/run/postgresql/.s.PGSQL.5432"];
  const guess = (strange: string[], args: string[] = [], env: Env = {}) => {
    const command = parseCommandLine(
      ["-d", "d", ...args],
      { PGUSER: "u", ...env },
      hostWith(
        Object.fromEntries([...both, "/ca"].map((file) => [file, ""])),
        (path) => strange.includes(path) ? `the socket ${path} is a stranger's` : undefined,
      ),
    );
    if (command.kind !== "run") throw new Error(`is ${command.kind}`);
    return { place: command.options.postgres.hosts[0], warnings: command.warnings };
  };
  assertEquals(guess([]), {
    place: { host: "/var/run/postgresql", port: 5432, guessed: true },
    warnings: [],
  });
  assertEquals(guess([both[1]!]), {
    place: { host: "/tmp", port: 5432, guessed: true },
    warnings: [`no host is given, and the socket ${both[1]} is a stranger's`],
  });
  assertEquals(guess(both).place, { host: "localhost", port: 5432 });
  assertEquals(guess(both, ["-h", "/tmp"]), {
    place: { host: "/tmp", port: 5432 },
    warnings: [],
  });
  const verify = { PGSSLMODE: "verify-ca", PGSSLROOTCERT: "/ca" };
  assertEquals(guess(both, [], verify).place, { host: "localhost", port: 5432 });
  assertEquals(guess([], ["-h", "/tmp"], verify).place, { host: "/tmp", port: 5432 });
  assertThrows(
    () => guess([], [], verify),
    UsageError,
    "PGSSLMODE: verify-ca checks nothing on a Unix socket, and without a host the one in " +
      "/var/run/postgresql would be taken; name the server with --pg-host",
  );
});

Deno.test("resolveConnection reads require_auth from everywhere, and says what is wrong with it", () => {
  const allowed = (args: string[], env: Env = {}, files: Record<string, string> = {}) =>
    [...postgres(args, { HOME: "/home/me", ...env }, files).requireAuth?.allowed ?? ["all"]].join();
  assertEquals(allowed([]), "all");
  assertEquals(allowed([], { PGREQUIREAUTH: "" }), "all");
  assertEquals(allowed([], { PGREQUIREAUTH: "scram-sha-256,none" }), "scram-sha-256,none");
  assertEquals(
    allowed(["--pg-url", "postgres://h/d?require_auth=%21password,!md5"], { PGREQUIREAUTH: "md5" }),
    "scram-sha-256,gss,sspi,oauth,none",
  );
  const service = { "/home/me/.pg_service.conf": "[s]\nrequire_auth=md5\nrequirepeer=pg\n" };
  assertEquals(allowed([], { PGSERVICE: "s", PGREQUIREAUTH: "none" }, service), "md5");
  assertEquals(
    postgres([], { HOME: "/home/me", PGSERVICE: "s" }, service).requirePeer,
    "pg",
  );
  const refused = (value: string) => usageError([], { PGREQUIREAUTH: value });
  assertMatch(
    refused("scram"),
    /^PGREQUIREAUTH: "scram" is not one of password, md5, scram-sha-256/,
  );
  assertMatch(refused("md5,"), /^PGREQUIREAUTH: "" is not one of/);
  assertMatch(refused("md5,!none"), /^PGREQUIREAUTH: "md5,!none" mixes methods/);
  assertMatch(refused("!md5,!md5"), /^PGREQUIREAUTH: "!md5" is given twice/);
});

Deno.test("resolveConnection matches ports to hosts as libpq does", () => {
  const hosts = (...args: string[]) =>
    postgres(args).hosts.map(({ host, port }) => `${host} ${port}`).join();
  assertEquals(hosts("-h", "a,b", "-p", "1"), "a 1,b 1");
  assertEquals(hosts("-h", "a,b", "-p", "1,2"), "a 1,b 2");
  assertEquals(hosts("-h", "a,b", "-p", "1,"), "a 1,b 5432");
  assertEquals(hosts("-h", "a,,c"), "a 5432,localhost 5432,c 5432");
  assertEquals(hosts("--pg-url", "postgres://a,b:2/d"), "a 5432,b 2");
  assertMatch(
    usageError(["-h", "a,b", "-p", "1,2,3"]),
    /^--pg-port: 3 ports do not match 2 hosts; give one, or one for each host$/,
  );
  assertMatch(usageError(["-p", "1,2"]), /^--pg-port: 2 ports do not match 1 host;/);
  assertMatch(
    usageError([], { PGPORT: "x" }),
    /^PGPORT: "x" is not a whole number from 1 to 65535$/,
  );
  assertMatch(usageError(["--pg-url", "postgres://h:0"]), /^--pg-url, port: "0" is not/);
});

Deno.test("resolveConnection takes an address for a host, or beside it", () => {
  const hosts = (args: string[], PGHOSTADDR: string) => postgres(args, { PGHOSTADDR }).hosts;
  assertEquals(hosts([], "10.0.0.1"), [{ host: "10.0.0.1", port: 5432 }]);
  assertEquals(hosts(["-h", "a,b"], "10.0.0.1,"), [
    { host: "a", port: 5432, address: "10.0.0.1" },
    { host: "b", port: 5432 },
  ]);
  assertMatch(
    usageError(["-h", "a,b"], { PGHOSTADDR: "10.0.0.1" }),
    /^PGHOSTADDR: 1 addresses do not match 2 hosts \(--pg-host\); give one for each$/,
  );
  const noAddress = /^PGHOSTADDR: "db" is not an IP address; give a name as --pg-host$/;
  assertMatch(usageError([], { PGHOSTADDR: "10.0.0.1,db" }), noAddress);
  assertMatch(usageError(["-h", "a,b"], { PGHOSTADDR: ",db" }), noAddress);
  assertEquals(hosts([], "fe80::1%eth0"), [{ host: "fe80::1%eth0", port: 5432 }]);
});

Deno.test("resolveConnection refuses a login that could not come about", () => {
  const refused = (...args: string[]) => usageError(["-h", "h", ...args]);
  const url = (query: string) => usageError(["--pg-url", `postgres://h/d?${query}`]);
  assertMatch(
    url("sslmode=disable&channel_binding=require"),
    /^--pg-url, channel_binding: require needs TLS, which sslmode disable does without$/,
  );
  assertMatch(
    usageError(["-h", "/tmp"], { PGCHANNELBINDING: "require" }),
    /^PGCHANNELBINDING: require needs TLS, which a Unix socket does without$/,
  );
  assertMatch(url("channel_binding=always"), /"always" is not one of disable, prefer, require/);
  assertMatch(
    url("sslnegotiation=direct"),
    /^--pg-url, sslnegotiation: direct cannot fall back to no TLS, as sslmode prefer would; use/,
  );
  for (const mode of ["disable", "allow", "prefer"]) {
    assertMatch(
      refused("--pg-auth", "rds-iam", "--pg-sslmode", mode),
      new RegExp(`^--pg-sslmode: ${mode} may do without TLS, which --pg-auth rds-iam needs; use`),
    );
  }
  assertMatch(usageError(["--pg-auth", "rds-iam", "-h", "/tmp"]), /not a Unix socket$/);
  assertMatch(
    usageError(["--pg-auth", "rds-iam", "-h", "h"], { PGCHANNELBINDING: "require" }),
    /^PGCHANNELBINDING: require is for passwords/,
  );
  assertMatch(refused("--pg-auth", "iam"), /^--pg-auth: "iam" is not one of password, rds-iam/);
});

Deno.test("resolveConnection asks for TLS with --pg-auth rds-iam", () => {
  const mode = (args: string[], env: Env = {}) =>
    postgres(["-h", "h", "--pg-auth", "rds-iam", ...args], env, { "/ca": "" }).sslMode;
  assertEquals(mode([]), "require");
  assertEquals(mode([], { PGSSLMODE: "verify-ca", PGSSLROOTCERT: "/ca" }), "verify-ca");
  assertEquals(mode(["--pg-sslrootcert", "system"]), "verify-full");
  assertEquals(postgres([], { PG2KINESIS_PG_AUTH: "rds-iam", PGHOST: "h" }).auth, "rds-iam");
});

Deno.test("resolveConnection names what is missing", () => {
  const without = (env: Env) => usageError([], { PGDATABASE: "", PGUSER: "", ...env });
  assertEquals(
    without({ PGDATABASE: "d" }),
    "no role to log in as; give --pg-user (-u) or set PGUSER",
  );
  assertEquals(
    without({ PGUSER: "u" }),
    "no database to follow; give --pg-dbname (-d) or set PGDATABASE",
  );
});

const ROOT = "/home/me/.postgresql/root.crt";
const TLS:
  readonly (readonly [what: string, args: string[], env: Env, files: string[], unknown])[] = [
    ["prefers TLS", [], {}, [], ["prefer", undefined, undefined, undefined]],
    ["finds the root certificate in the home folder", [], {}, [ROOT], [
      "prefer",
      ROOT,
      undefined,
      undefined,
    ]],
    [
      "finds the client's certificate and key in the home folder",
      [],
      {},
      ["/home/me/.postgresql/postgresql.crt", "/home/me/.postgresql/postgresql.key"],
      [
        "prefer",
        undefined,
        "/home/me/.postgresql/postgresql.crt",
        "/home/me/.postgresql/postgresql.key",
      ],
    ],
    ["makes system verify-full", ["--pg-sslrootcert", "system"], {}, [], [
      "verify-full",
      "system",
      undefined,
      undefined,
    ]],
    ["looks for no files without TLS", ["--pg-sslmode", "disable"], {}, [ROOT], [
      "disable",
      undefined,
      undefined,
      undefined,
    ]],
    ["needs no files on a socket", ["-h", "/tmp", "--pg-sslmode", "verify-full"], {}, [], [
      "verify-full",
      undefined,
      undefined,
      undefined,
    ]],
  ];

for (const [what, args, env, files, expected] of TLS) {
  Deno.test(`resolveConnection ${what}`, () => {
    const found = postgres(
      args,
      { HOME: "/home/me", ...env },
      Object.fromEntries(files.map((file) => [file, ""])),
    );
    assertEquals([found.sslMode, found.sslRootCert, found.sslCert, found.sslKey], expected);
  });
}

Deno.test("resolveConnection refuses TLS settings that cannot hold", () => {
  assertMatch(
    usageError(["--pg-sslmode", "verify-full"]),
    /^--pg-sslmode: verify-full needs certificates to trust; give --pg-sslrootcert FILE/,
  );
  assertMatch(
    usageError([], { PGSSLMODE: "require", PGSSLROOTCERT: "system" }),
    /^PGSSLMODE: require is too weak for PGSSLROOTCERT system; use verify-full$/,
  );
  assertMatch(
    usageError([], { PGSSLCERT: "/cert" }, { "/cert": "" }),
    /^the client certificate \/cert is there, but not its private key; give --pg-sslkey FILE$/,
  );
  assertMatch(usageError([], { PGSSLMODE: "on" }), /^PGSSLMODE: "on" is not one of disable, allow/);
});

Deno.test("resolveConnection refuses what it cannot promise, whatever its source", () => {
  const url = (query: string) => usageError(["--pg-url", `postgres://h/d?${query}`]);
  assertMatch(url("sslcrl=/crl"), /sslcrl with this value is not supported; leave it out$/);
  assertMatch(usageError([], { PGGSSENCMODE: "require" }), /^PGGSSENCMODE: .*; use TLS$/);
  assertMatch(usageError([], { PGSSLMINPROTOCOLVERSION: "TLSv1.3" }), /^PGSSLMINPROTOCOLVERSION/);
  assertEquals(
    parseRun([
      "--pg-url",
      "postgres://h/d?channel_binding=prefer&gssencmode=disable&ssl_min_protocol_version=TLSv1.2",
    ]).warnings,
    [],
  );
});

Deno.test("resolveConnection remarks on settings without effect, but not on a machine's variables", () => {
  assertEquals(
    parseRun(["--pg-url", "postgres://h/d?keepalives_idle=5"], { PGCLIENTENCODING: "LATIN1" })
      .warnings,
    ["--pg-url, keepalives_idle: keepalives_idle has no effect here"],
  );
});

Deno.test("resolveConnection remarks on a revocation list that libpq would use", () => {
  const crl = "/home/me/.postgresql/root.crl";
  const remarks = (files: string[], ...args: string[]) =>
    parseRun(args, { HOME: "/home/me" }, Object.fromEntries(files.map((file) => [file, ""])))
      .warnings;
  assertEquals(remarks([ROOT, crl]), [
    `${crl} is ignored: this program cannot detect revoked certificates`,
  ]);
  assertEquals(remarks([ROOT]), []);
  assertEquals(remarks([ROOT, crl], "--pg-sslmode", "disable"), []);
});

Deno.test("resolveConnection reads timeouts and session attributes as libpq does", () => {
  const timeout = (text: string) => postgres([], { PGCONNECT_TIMEOUT: text }).connectTimeoutMs;
  assertEquals(["0", "-1", "1", " 30 ", "999999999"].map(timeout), [
    0,
    0,
    1000,
    30_000,
    2147483647,
  ]);
  assertMatch(
    usageError([], { PGCONNECT_TIMEOUT: "10s" }),
    /^PGCONNECT_TIMEOUT: "10s" is not a whole number of seconds$/,
  );
  assertMatch(
    usageError([], { PGTARGETSESSIONATTRS: "master" }),
    /^PGTARGETSESSIONATTRS: "master" is not one of any, read-write/,
  );
  assertEquals(
    postgres(["--pg-url", "postgres://h?fallback_application_name=x"]).applicationName,
    "x",
  );
});
