import type { OutputPlugin, SslMode } from "../options.ts";
import { UsageError } from "../errors.ts";
import { defaultedFlag, listFlag, optionalFlag, switchFlag } from "./flag.ts";
import { choice, duration, text } from "./flag_value.ts";
import { parseConnectionUri } from "./connection_uri.ts";

export const SSL_MODES: readonly SslMode[] = [
  "disable",
  "allow",
  "prefer",
  "require",
  "verify-ca",
  "verify-full",
];

export const OUTPUT_PLUGINS: readonly OutputPlugin[] = ["test_decoding", "wal2json", "pgoutput"];

export const connectionFlags = {
  pgDbname: optionalFlag({
    name: "pg-dbname",
    letter: "d",
    category: "postgres",
    placeholder: "NAME",
    defaultText: "$PGDATABASE",
    short: "database to follow",
    long: "The database whose changes are followed. A slot belongs to one database.",
    parse: databaseName,
  }),
  pgHost: optionalFlag({
    name: "pg-host",
    letter: "h",
    category: "postgres",
    placeholder: "HOST",
    defaultText: "$PGHOST",
    short: "server, or the folder of its socket",
    long:
      "The server's name or address, or the folder of its Unix socket when it begins with `/`. " +
      "Several, separated by commas, are tried in order. Without it: `$PGHOST`, else the local " +
      "socket where root, `postgres` or this user has made one, else `localhost`. As in psql, `-h` is the host; help is `--help`.",
    parse: text,
  }),
  pgPort: optionalFlag({
    name: "pg-port",
    letter: "p",
    category: "postgres",
    placeholder: "PORT",
    defaultText: "$PGPORT or 5432",
    short: "port",
    long: "The server's port; one for all hosts, or one for each, separated by commas.",
    parse: portList,
  }),
  pgUser: optionalFlag({
    name: "pg-user",
    letter: "u",
    category: "postgres",
    placeholder: "NAME",
    defaultText: "$PGUSER",
    short: "role to log in as",
    long:
      "The role, which needs LOGIN and REPLICATION (`rds_replication` on RDS). Its password comes " +
      "from `$PGPASSWORD`, `~/.pgpass` or `$PG2KINESIS_PG_URL`, never from a flag. Without " +
      "`$PGUSER`: `$USER`.",
    parse: text,
  }),
  pgUrl: optionalFlag({
    name: "pg-url",
    category: "postgres",
    placeholder: "URL",
    short: "postgresql://user@host:port/db?…; flags win",
    long:
      "A libpq connection URI: several hosts, sockets, IPv6 and every parameter libpq knows. Single " +
      "flags win over it, and it wins over the service file and libpq's variables. A password in " +
      "it can be read in the process list: give such a URL in `$PG2KINESIS_PG_URL`. In a password " +
      "write `%40` for @, `%2F` for /, `%3A` for :, `%25` for %.",
    parse: parseConnectionUri,
  }),
  pgAuth: defaultedFlag({
    name: "pg-auth",
    category: "postgres",
    placeholder: "HOW",
    defaultText: "password",
    short: "password (default) or rds-iam",
    long:
      "How the role proves itself where the server asks: by its `password`, or by `rds-iam`, a token " +
      "of Amazon RDS, signed anew with the AWS credentials for every connection. It needs TLS: " +
      "without a mode it is `require`. The region is the one in the host's name, else the AWS " +
      "settings'.",
    parse: choice(["password", "rds-iam"]),
  }),
  pgSslmode: optionalFlag({
    name: "pg-sslmode",
    category: "postgres",
    placeholder: "MODE",
    defaultText: "$PGSSLMODE or prefer",
    short: "TLS as in libpq",
    long:
      "`disable`, `allow`, `prefer`, `require`, `verify-ca` or `verify-full`, as libpq means them. " +
      "Only `verify-full` is safe against an impostor.",
    parse: choice(SSL_MODES),
  }),
  pgSslrootcert: optionalFlag({
    name: "pg-sslrootcert",
    category: "postgres",
    placeholder: "FILE",
    short: 'CA certificates to trust, or "system"',
    long:
      "The file of certificate authorities to trust (on RDS the region's bundle), or `system` for " +
      "the built-in ones, which makes the mode `verify-full`. Without it: `$PGSSLROOTCERT`, else " +
      "`~/.postgresql/root.crt` where there is one.",
    parse: text,
  }),
  pgSslcert: optionalFlag({
    name: "pg-sslcert",
    category: "postgres",
    placeholder: "FILE",
    short: "client certificate",
    long:
      "The client's certificate. Without it: `$PGSSLCERT`, else `~/.postgresql/postgresql.crt` " +
      "where there is one.",
    parse: text,
  }),
  pgSslkey: optionalFlag({
    name: "pg-sslkey",
    category: "postgres",
    placeholder: "FILE",
    short: "its private key",
    long:
      "The client certificate's private key, without a passphrase. Without it: `$PGSSLKEY`, else " +
      "`~/.postgresql/postgresql.key`.",
    parse: text,
  }),
};

/** How a connection is kept. */
export const followFlags = {
  pgTimeout: defaultedFlag({
    name: "pg-timeout",
    category: "postgres",
    placeholder: "TIME",
    defaultText: "60s",
    short: "silence that means a lost connection",
    long:
      "How long PostgreSQL may be silent before the connection counts as lost and is made anew; 0: " +
      "for ever. The server is asked for a sign of life often enough. Time in which nothing is read, " +
      "since Kinesis is behind, does not count, nor time in which the server shows our walsender at " +
      "work. How long a connect may take is libpq's `connect_timeout` (`$PGCONNECT_TIMEOUT`), 10 s " +
      "unless given.",
    parse: duration({ min: "1s", max: "1d" }),
  }),
};

export const slotFlags = {
  pgSlotName: defaultedFlag({
    name: "pg-slot-name",
    letter: "s",
    category: "slot",
    placeholder: "NAME",
    defaultText: "pg2kinesis",
    short: "replication slot to follow",
    long: "The replication slot. It is the only state there is: it remembers what is published.",
    parse: slotName,
  }),
  pgSlotOutputPlugin: defaultedFlag({
    name: "pg-slot-output-plugin",
    category: "slot",
    placeholder: "PLUGIN",
    defaultText: "test_decoding",
    short: "test_decoding (default), wal2json, pgoutput",
    long: "The slot's output plugin: `test_decoding`, `wal2json` or `pgoutput`.",
    parse: choice(OUTPUT_PLUGINS),
  }),
  pgPublication: listFlag({
    name: "pg-publication",
    category: "slot",
    placeholder: "NAME",
    defaultText: "the slot's name",
    short: "publication, for pgoutput",
    long:
      "With `pgoutput`, the publication that says which tables are followed. May be given several " +
      "times.",
    parse: text,
  }),
  createSlot: switchFlag({
    name: "create-slot",
    category: "slot",
    short: "create the slot if it does not exist",
    long:
      "Create the slot if it does not exist. A slot that exists is used when plugin and database " +
      "match, and is an error when not. Changes are followed from its creation on.",
  }),
  recreateSlot: switchFlag({
    name: "recreate-slot",
    category: "slot",
    short: "drop the slot if it exists, then create it",
    long: "Drop the slot if it exists, then create it. **What it had not yet published is lost.**",
  }),
  slotFailover: switchFlag({
    name: "slot-failover",
    category: "slot",
    short: "make it a failover slot (PostgreSQL 17)",
    long:
      "When `--create-slot` or `--recreate-slot` makes the slot: make it one that the server's " +
      "standbys keep a copy of (`failover`), so that it is still there after a failover. PostgreSQL " +
      "17 and newer; the standbys need `sync_replication_slots`, and the primary " +
      "`synchronized_standby_slots`.",
  }),
  standby: switchFlag({
    name: "standby",
    category: "slot",
    short: "wait while another host follows the slot",
    long:
      "Wait while another client holds the slot, and take over as soon as it does not: start the " +
      "program with the same flags on two hosts or more. PostgreSQL's own lock on the slot decides " +
      "who follows it; whoever loses it drops what it has not yet published, which the next one " +
      "reads again, and waits. To notice that in time takes an ordinary connection beside the " +
      "replication one. Not together with `--recreate-slot`.",
  }),
  heartbeat: defaultedFlag({
    name: "heartbeat",
    category: "slot",
    placeholder: "TIME",
    defaultText: "0",
    short: "write a heartbeat into the WAL this often",
    long:
      "How often a logical message is written into the database's WAL, such as `1m`; 0: never. The " +
      "slot follows it, also where nothing else happens; it is never published. It needs no right " +
      "that every role does not have, but a server that takes writes: where the slot is on a " +
      "standby, name the primary among the hosts.",
    parse: duration({ min: "100ms", max: "1d" }),
  }),
  createPublication: switchFlag({
    name: "create-publication",
    category: "slot",
    short: "create the publication before the slot",
    long: "With `pgoutput`, when `--create-slot` or `--recreate-slot` makes the slot: create its " +
      "publication before it, of all tables that `--table-pat`, `--include-table` and " +
      "`--exclude-table` let pass and that have a replica identity; those left out are named in the " +
      "log. A publication that exists is used as it is. The role needs CREATE on the database and " +
      "must own the tables; if not, the error names the statement for somebody who does.",
  }),
};

/** Only what the server itself would refuse, so that a URL or a list of settings is told apart. */
function databaseName(value: string): string {
  if (/^postgres(ql)?:\/\//.test(value)) {
    throw new UsageError("is the database's name only; give a connection URL to --pg-url");
  }
  return text(value);
}

function portList(value: string): string {
  for (const port of value.split(",")) {
    if (port === "") continue;
    if (!/^\d+$/.test(port) || Number(port) < 1 || Number(port) > 65535) {
      throw new UsageError(`${JSON.stringify(port)} is not a port; give a number from 1 to 65535`);
    }
  }
  return value;
}

/** https://www.postgresql.org/docs/current/logicaldecoding-explanation.html#LOGICALDECODING-REPLICATION-SLOTS */
function slotName(value: string): string {
  if (/^[a-z0-9_]{1,63}$/.test(value)) return value;
  throw new UsageError(
    `${JSON.stringify(value)} cannot be a slot's name; it has 1 to 63 lower-case letters, ` +
      "digits and underscores",
  );
}
