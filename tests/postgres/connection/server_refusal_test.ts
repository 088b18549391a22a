import { systemClock } from "../../../src/base/clock.ts";
import { ReplicationSession } from "../../../src/postgres/session/replication_session.ts";
import { connect, type ConnectionKind } from "../../../src/postgres/connection/connection.ts";
import { startEmbeddedPostgres } from "../../support/embedded_postgres.ts";
import {
  findDebianPostgres,
  NO_DEBIAN_POSTGRES,
  startDebianPostgres,
} from "../../support/debian_postgres.ts";
import { hasPgbouncer, NO_PGBOUNCER, startPgbouncer } from "../../support/pgbouncer.ts";
import { freshDatabase } from "../../support/shared_postgres.ts";
import type { TestPostgres } from "../../support/test_postgres.ts";
import { assertFails, postgresOptions, slotOptions } from "../../support/postgres_options.ts";

if (findDebianPostgres() === undefined) console.warn(NO_DEBIAN_POSTGRES);

for (const version of ["15", "18"]) {
  Deno.test(`connect tells the limits of connections apart, in any language (${version})`, {
    ignore: version === "15" && findDebianPostgres() === undefined,
  }, async () => {
    // Where the server has no translations the words are English; nothing depends on them.
    const settings = { max_connections: 10, max_wal_senders: 2, superuser_reserved_connections: 3 };
    await using server = await (version === "15" ? startDebianPostgres : startEmbeddedPostgres)({
      settings,
    });
    await server.sql("create role no_room login replication connection limit 0");
    // The names of what else could be meant decide nothing.
    await server.sql('create role "max_wal_senders" login replication connection limit 0');
    await server.sql("create role many login replication");
    await server.sql("create database full_up connection limit 0");
    const ask = (user: string, kind: ConnectionKind, database = "postgres") =>
      connect(postgresOptions(server, { user, database }), kind);
    await assertFails(ask("no_room", "ordinary"), [
      "the role's own CONNECTION LIMIT",
      'ALTER ROLE "no_room" CONNECTION LIMIT -1',
    ], true);
    await assertFails(
      ask("max_wal_senders", "ordinary"),
      ["the role's own CONNECTION LIMIT"],
      true,
    );
    await assertFails(ask("many", "ordinary", "full_up"), [
      "the database's own CONNECTION LIMIT",
      'ALTER DATABASE "full_up" CONNECTION LIMIT -1',
    ], true);
    await assertFails(ask("many", "ordinary", "template0"), [
      "the database takes no connections (ALLOW_CONNECTIONS)",
      "--pg-dbname",
    ], false);
    const open = [await ask("many", "replication"), await ask("many", "replication")];
    await assertFails(ask("many", "replication"), ["all max_wal_senders are in use"], true);
    await assertFails(
      (async () => {
        for (let i = 0; i < 12; i++) open.push(await ask("many", "ordinary"));
      })(),
      ["no connection left", "raise max_connections"],
      true,
    );
    for (const connection of open) connection.destroy();
  });
}

for (const version of ["15", "18"]) {
  Deno.test(`connect names what a refused option of the session comes from (${version})`, {
    ignore: version === "15" && findDebianPostgres() === undefined,
  }, async () => {
    await using server = await (version === "15" ? startDebianPostgres : startEmbeddedPostgres)();
    await server.sql("create role plain login replication");
    const ask = (sessionOptions: string, kind: ConnectionKind) =>
      connect(postgresOptions(server, { user: "plain", sessionOptions }), kind);
    for (
      const [options, said] of [
        ["-c TimeZone=Mars", "Mars"],
        ["-c work_mem=x", "work_mem"],
        ["-c no_such=1", "no_such"],
        ["-c wal_level=minimal", "wal_level"],
        ["-c role=nobody_here", "nobody_here"],
        ["-c role=postgres", "role"],
        // Only superusers may: it is not the right to replicate that is missing.
        ["-c log_duration=on", "log_duration"],
        ["what", "what"],
      ] as const
    ) {
      for (const kind of ["ordinary", "replication"] as const) {
        await assertFails(
          ask(options, kind),
          ["an option of the session", "PGOPTIONS", "PGTZ", said],
          false,
        );
      }
    }
  });
}

if (!hasPgbouncer()) console.warn(NO_PGBOUNCER);

Deno.test(
  "a pooler in between is named, and the way around it",
  { ignore: !hasPgbouncer() },
  async () => {
    await using server: TestPostgres = await startEmbeddedPostgres();
    await using db = await freshDatabase(server);
    await db.createSlot("test_decoding");
    const around = [
      /not PostgreSQL itself/,
      /connection pooler, such as PgBouncer/,
      /--pg-host and --pg-port/,
    ];
    {
      await using pooler = await startPgbouncer(server);
      const options = postgresOptions({ ...pooler, superuser: server.superuser }, {
        database: db.database,
      });
      for (const kind of ["ordinary", "replication"] as const) {
        await assertFails(
          connect(options, kind),
          [...around, /unsupported startup parameter/],
          true,
        );
      }
    }
    {
      await using pooler = await startPgbouncer(server, "ignore_startup_parameters = options");
      const options = postgresOptions({ ...pooler, superuser: server.superuser }, {
        database: db.database,
      });
      await assertFails(connect(options, "replication"), [...around, /replication/], true);
    }
    {
      // It takes both parameters, and makes an ordinary session of that, with the server's settings.
      await using pooler = await startPgbouncer(
        server,
        "ignore_startup_parameters = options,replication",
      );
      const options = postgresOptions({ ...pooler, superuser: server.superuser }, {
        database: db.database,
      });
      await assertFails(connect(options, "replication"), [/connection pooler/], false);
    }
    {
      // One that takes the settings, but not the other.
      const ordinary = await connect(
        postgresOptions(server, { database: db.database }),
        "ordinary",
      );
      const events = {
        received: () => false,
        needsOnlyHead: () => false,
        lost: () => {},
        silent: () => {},
        flushLsn: () => 0n,
      };
      await assertFails(
        ReplicationSession.start(
          ...[ordinary, slotOptions(db, "test_decoding"), () => 0n, events, systemClock] as const,
        ),
        [/this is no replication connection: a connection pooler/],
        false,
      );
    }
  },
);
