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

interface Pinned {
  /** What SHOW says of it in an ordinary session, and in a walsender's where that is something else. */
  readonly shows: string | { readonly ordinary: string; readonly replication: string };
  /** What database, role and options say. */
  readonly hostile: string;
}

/** Every setting that is pinned, written down a second time: none may go, or change, unseen. */
const PINNED: Readonly<Record<string, Pinned>> = {
  search_path: {
    shows: { ordinary: "pg_catalog, pg_temp", replication: "pg_catalog, public" },
    hostile: "mal",
  },
  client_encoding: { shows: "UTF8", hostile: "LATIN1" },
  DateStyle: { shows: "ISO, MDY", hostile: "German, DMY" },
  IntervalStyle: { shows: "postgres", hostile: "iso_8601" },
  TimeZone: { shows: "UTC", hostile: "Asia/Tokyo" },
  extra_float_digits: { shows: "1", hostile: "-15" },
  bytea_output: { shows: "hex", hostile: "escape" },
  quote_all_identifiers: { shows: "off", hostile: "on" },
  client_min_messages: { shows: "notice", hostile: "error" },
  statement_timeout: { shows: { ordinary: "1min", replication: "0" }, hostile: "1h" },
  lock_timeout: { shows: { ordinary: "10s", replication: "0" }, hostile: "1h" },
  idle_in_transaction_session_timeout: { shows: "0", hostile: "1h" },
  idle_session_timeout: { shows: "0", hostile: "1h" },
  transaction_timeout: { shows: "0", hostile: "1h" },
  exit_on_error: { shows: "off", hostile: "on" },
  default_transaction_isolation: { shows: "read committed", hostile: "serializable" },
  default_transaction_read_only: { shows: "off", hostile: "on" },
  standard_conforming_strings: { shows: "on", hostile: "off" },
  array_nulls: { shows: "on", hostile: "off" },
};
/** Settings that came with a version. */
const SINCE: Readonly<Record<string, number>> = { transaction_timeout: 170000 };

Deno.test("the tests look at every setting that is pinned", () => {
  assertEquals(SESSION_SETTINGS.map(({ name }) => name).toSorted(), Object.keys(PINNED).toSorted());
});

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
    const settings = Object.entries(PINNED)
      .map(([name, pinned]) => ({ name, ...pinned }))
      .filter(({ name }) => (SINCE[name] ?? 0) <= server.version);
    for (const where of [`database ${db.database}`, "role follower"]) {
      for (const { name, hostile } of settings) {
        const value = name === "search_path" ? hostile : `'${hostile}'`;
        await server.sql(`alter ${where} set ${name} = ${value}`);
      }
      for (const kind of ["ordinary", "replication"] as const) {
        const given = settings.filter(({ name }) => name !== "TimeZone")
          .map(({ name, hostile }) => `-c ${name}=${hostile.replace(" ", "\\ ")}`).join(" ");
        for (const sessionOptions of [undefined, given, `${given}\\`]) {
          assertEquals(
            await shown(kind, sessionOptions, settings),
            settings.map(({ name, shows }) =>
              `${name} = ${typeof shows === "string" ? shows : shows[kind]}`
            ),
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
      ["withholds the settings", '"\\"$user\\", public"', "connect to PostgreSQL itself"],
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
