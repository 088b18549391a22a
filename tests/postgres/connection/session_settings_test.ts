import { assertEquals } from "@std/assert";
import { connect, type ConnectionKind } from "../../../src/postgres/connection/connection.ts";
import {
  SESSION_SETTINGS,
  startupOptions,
} from "../../../src/postgres/connection/session_settings.ts";
import {
  hasWal2json,
  NO_DEBIAN_POSTGRES,
  startDebianPostgres,
} from "../../support/debian_postgres.ts";
import { startEmbeddedPostgres } from "../../support/embedded_postgres.ts";
import { freshDatabase } from "../../support/shared_postgres.ts";
import { Proxy } from "../../support/proxy.ts";
import { assertFails, postgresOptions } from "../../support/postgres_options.ts";

/** Another value for each setting that is pinned. */
const HOSTILE: Readonly<Record<string, string>> = {
  search_path: "mal",
  client_encoding: "LATIN1",
  DateStyle: "German, DMY",
  IntervalStyle: "iso_8601",
  TimeZone: "Asia/Tokyo",
  extra_float_digits: "-15",
  bytea_output: "escape",
  quote_all_identifiers: "on",
  client_min_messages: "error",
  statement_timeout: "1h",
  lock_timeout: "1h",
  idle_in_transaction_session_timeout: "1h",
  idle_session_timeout: "1h",
  transaction_timeout: "1h",
  exit_on_error: "on",
  default_transaction_isolation: "serializable",
  default_transaction_read_only: "on",
  standard_conforming_strings: "off",
};

const servers = [["18", startEmbeddedPostgres], ["15", startDebianPostgres]] as const;
for (const [name, start] of servers) {
  const ignore = name === "15" && !hasWal2json();
  if (ignore) console.log(NO_DEBIAN_POSTGRES);
  Deno.test(`every pinned setting holds, whatever database, role and options say: ${name}`, {
    ignore,
  }, async () => {
    await using server = await start();
    await using db = await freshDatabase(server);
    await server.sql("create role follower login superuser");
    const known = await server.sql("select lower(name) as name from pg_settings");
    const settings = SESSION_SETTINGS.filter((setting) =>
      known.some(({ name }) => name === setting.name.toLowerCase())
    );
    assertEquals(settings.length, SESSION_SETTINGS.length - (name === "15" ? 1 : 0));
    for (const where of [`database ${db.database}`, "role follower"]) {
      for (const { name } of settings) {
        const value = name === "search_path" ? "mal" : `'${HOSTILE[name]!}'`;
        await server.sql(`alter ${where} set ${name} = ${value}`);
      }
      for (const kind of ["ordinary", "replication"] as const) {
        const given = settings.filter(({ name }) => name !== "TimeZone")
          .map(({ name }) => `-c ${name}=${HOSTILE[name]!.replace(" ", "\\ ")}`).join(" ");
        for (const sessionOptions of [undefined, given, `${given}\\`]) {
          assertEquals(
            await shown(kind, sessionOptions, settings),
            settings.map(({ name, value }) => {
              const pinned = typeof value === "string" ? value : value[kind];
              return `${name} = ${pinned === "60s" ? "1min" : pinned}`;
            }),
            `${where}, ${kind}, ${sessionOptions}`,
          );
        }
      }
      await server.sql(`alter ${where} reset all`);
    }

    async function shown(
      kind: ConnectionKind,
      sessionOptions: string | undefined,
      settings: readonly { name: string }[],
    ) {
      const connection = await connect(
        postgresOptions(server, { database: db.database, user: "follower", sessionOptions }),
        kind,
      );
      try {
        const lines: string[] = [];
        for (const { name } of settings) {
          const [row] = await connection.query("show", `SHOW ${name}`);
          lines.push(`${name} = ${Object.values(row!)[0]}`);
        }
        return lines;
      } finally {
        connection.destroy();
      }
    }
  });
}

Deno.test("a server that the settings do not reach is refused, for both kinds of sessions", async () => {
  await using server = await startEmbeddedPostgres();
  using pooler = new Proxy(server);
  // A pooler drops what it does not know.
  pooler.passUp = (bytes) => {
    const text = new TextDecoder("latin1").decode(bytes);
    const dropped = text.replace(
      /search_path=(?:\\ |[^ ])*/,
      (all) => "application_name=".padEnd(all.length, "x"),
    );
    return new TextEncoder().encode(dropped);
  };
  for (const kind of ["ordinary", "replication"] as const) {
    await assertFails(
      connect(postgresOptions(server, { hosts: [{ host: "127.0.0.1", port: pooler.port }] }), kind),
      ["keeps back the settings", '"\\"$user\\", public"', "connect to PostgreSQL itself"],
      false,
    );
  }
});

Deno.test("the time zone is UTC unless the options choose one", () => {
  const zone = (given?: string) => {
    const all = startupOptions("replication", given).match(/timezone=\S+/gi);
    return all?.at(-1);
  };
  assertEquals(zone(), "TimeZone=UTC");
  assertEquals(zone("-c work_mem=1MB"), "TimeZone=UTC");
  assertEquals(zone("-c timezone=Asia/Tokyo"), "timezone=Asia/Tokyo");
  assertEquals(zone("-cTimeZone=Asia/Tokyo -c work_mem=1MB"), "TimeZone=Asia/Tokyo");
  assertEquals(zone("--TIMEZONE=Asia/Tokyo"), "TIMEZONE=Asia/Tokyo");
  assertEquals(zone("-c application_name=timezone\\ -c\\ timezone=x"), "TimeZone=UTC");
});
