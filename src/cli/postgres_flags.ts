import { OUTPUT_PLUGINS, SSL_MODES } from "../options.ts";
import { UsageError } from "../base/errors.ts";
import { defaultedFlag, listFlag, optionalFlag, switchFlag } from "./flag.ts";
import { choice, duration, integer, text } from "../base/value_parsers.ts";
import { parseConnectionUri } from "../libpq/connection_uri.ts";

export const connectionFlags = {
  pgDbname: optionalFlag({
    name: "pg-dbname",
    letter: "d",
    category: "postgres",
    placeholder: "NAME",
    defaultText: "$PGDATABASE",
    short: "database to follow",
    long: "The database to follow. A slot belongs to one database.",
    parse: databaseName,
  }),
  pgHost: optionalFlag({
    name: "pg-host",
    letter: "h",
    category: "postgres",
    placeholder: "HOST",
    defaultText: "$PGHOST",
    short: "server, or directory of its socket",
    long:
      "The server's name or address, or, beginning with `/`, the directory of its Unix socket. " +
      "Several, separated by commas, are tried in order. Default: `$PGHOST`, otherwise the " +
      "local socket if it belongs to root, `postgres` or this user, otherwise `localhost`. As " +
      "in psql, `-h` is the host; help is `--help`.",
    parse: text,
  }),
  pgPort: optionalFlag({
    name: "pg-port",
    letter: "p",
    category: "postgres",
    placeholder: "PORT",
    defaultText: "$PGPORT or 5432",
    short: "port",
    long: "The server's port: one for all hosts, or one for each, separated by commas.",
    parse: portList,
  }),
  pgUser: optionalFlag({
    name: "pg-user",
    letter: "u",
    category: "postgres",
    placeholder: "NAME",
    defaultText: "$PGUSER",
    short: "role to log in as",
    long: "The role to log in as. It needs LOGIN and REPLICATION (`rds_replication` on RDS). Its " +
      "password comes from `$PGPASSWORD`, `~/.pgpass` or `$PG2KINESIS_PG_URL`, never from a " +
      "flag. If `$PGUSER` is not set either, it is `$USER`.",
    parse: text,
  }),
  pgUrl: optionalFlag({
    name: "pg-url",
    category: "postgres",
    placeholder: "URL",
    short: "postgresql://user@host:port/db?…; flags win",
    long:
      "A libpq connection URI, with several hosts, sockets, IPv6 and every parameter that libpq " +
      "knows. Single flags win over it; it wins over the service file and libpq's variables. A " +
      "password in a flag can be read in the process list: put such a URL in " +
      "`$PG2KINESIS_PG_URL`. In a password, write `%40` for @, `%2F` for /, `%3A` for :, `%25` " +
      "for %.",
    parse: parseConnectionUri,
  }),
  pgAuth: defaultedFlag({
    name: "pg-auth",
    category: "postgres",
    placeholder: "HOW",
    defaultText: "password",
    short: "password (default) or rds-iam",
    long:
      "How the role authenticates if the server asks: with its `password`, or with `rds-iam`, " +
      "an Amazon RDS token, signed with the AWS credentials for every connection. `rds-iam` " +
      "needs TLS; the default mode is then `require`. The region is the one in the host's name, " +
      "otherwise that of the AWS settings.",
    parse: choice(["password", "rds-iam"]),
  }),
  pgSslmode: optionalFlag({
    name: "pg-sslmode",
    category: "postgres",
    placeholder: "MODE",
    defaultText: "$PGSSLMODE or prefer",
    short: "TLS as in libpq",
    long:
      "`disable`, `allow`, `prefer`, `require`, `verify-ca` or `verify-full`, as in libpq. Only " +
      "`verify-full` is safe against an impostor.",
    parse: choice(SSL_MODES),
  }),
  pgSslrootcert: optionalFlag({
    name: "pg-sslrootcert",
    category: "postgres",
    placeholder: "FILE",
    short: 'CA certificates to trust, or "system"',
    long:
      "The file of certificate authorities to trust (on RDS, the region's bundle), or `system` " +
      "for the built-in ones, which sets the mode `verify-full`. Default: `$PGSSLROOTCERT`, " +
      "otherwise `~/.postgresql/root.crt` if it exists.",
    parse: text,
  }),
  pgSslcert: optionalFlag({
    name: "pg-sslcert",
    category: "postgres",
    placeholder: "FILE",
    short: "client certificate",
    long:
      "The client certificate. Default: `$PGSSLCERT`, otherwise `~/.postgresql/postgresql.crt` " +
      "if it exists.",
    parse: text,
  }),
  pgSslkey: optionalFlag({
    name: "pg-sslkey",
    category: "postgres",
    placeholder: "FILE",
    short: "its private key",
    long:
      "The private key of the client certificate, without a passphrase. Default: `$PGSSLKEY`, " +
      "otherwise `~/.postgresql/postgresql.key`.",
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
      "How long PostgreSQL may be silent before the connection counts as lost and is reopened; " +
      "0: forever. The server is asked for a reply often enough. Time in which nothing is read " +
      "because Kinesis is behind does not count, nor does time in which the server shows that " +
      "its walsender is working. libpq's `connect_timeout` (`$PGCONNECT_TIMEOUT`) limits how " +
      "long connecting may take; its default here is 10 s.",
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
    long: "The replication slot. It is the only state: it remembers what has been published.",
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
      "With `pgoutput`, the publication that selects the tables to follow. May be given several " +
      "times.",
    parse: text,
  }),
  createSlot: switchFlag({
    name: "create-slot",
    category: "slot",
    short: "create the slot if it does not exist",
    long: "Create the slot if it does not exist. An existing slot is used if its plugin and " +
      "database match; otherwise it is an error. Changes are followed from the slot's creation " +
      "on.",
  }),
  recreateSlot: switchFlag({
    name: "recreate-slot",
    category: "slot",
    short: "drop the slot if it exists, then create it",
    long:
      "Drop the slot if it exists, then create it. **What it had not yet published is lost.** A " +
      "slot of another database, of another session or a physical one is not dropped.",
  }),
  slotFailover: switchFlag({
    name: "slot-failover",
    category: "slot",
    short: "create a failover slot (PostgreSQL 17)",
    long:
      "With `--create-slot` or `--recreate-slot`, create a slot that the server's standbys keep " +
      "a copy of (`failover`), so that it survives a failover. PostgreSQL 17 and newer. The " +
      "standbys need `sync_replication_slots`, the primary `synchronized_standby_slots`.",
  }),
  backfill: switchFlag({
    name: "backfill",
    category: "slot",
    short: "publish existing rows too, with --create-slot",
    long:
      "With `--create-slot` or `--recreate-slot`, also publish the rows that the tables already " +
      "hold: every row of every table that the filters let pass, once the slot is created, while " +
      "changes go on. With a slot that exists it does nothing. Reading needs SELECT on the tables, " +
      "PostgreSQL 12 or newer, and, with `pgoutput`, 14 or newer.",
  }),
  backfillRate: optionalFlag({
    name: "backfill-rate",
    category: "slot",
    placeholder: "ROWS",
    defaultText: "no limit",
    short: "rows a backfill reads a second",
    long: "The most rows a second that a backfill reads. Changes are published first in any case.",
    parse: integer({ min: 1, max: 100_000_000 }),
  }),
  standby: switchFlag({
    name: "standby",
    category: "slot",
    short: "wait while another host follows the slot",
    long: "Wait while another client holds the slot, and take over when it lets go: start the " +
      "program with the same flags on two or more hosts. PostgreSQL's own lock on the slot " +
      "decides who follows it. A host that loses the slot discards what it has not yet " +
      "published, which the next host reads again, and waits. To notice the loss in time it " +
      "needs an ordinary connection beside the replication connection. Cannot be combined with " +
      "`--recreate-slot`.",
  }),
  heartbeat: defaultedFlag({
    name: "heartbeat",
    category: "slot",
    placeholder: "TIME",
    defaultText: "0",
    short: "write a heartbeat into the WAL this often",
    long: "How often to write a logical message into the database's WAL, such as `1m`; 0: never. " +
      "The slot follows it even where nothing else happens; it is never published. It needs no " +
      "right beyond the default ones, but a server that accepts writes: if the slot is on a " +
      "standby, name the primary among the hosts.",
    parse: duration({ min: "100ms", max: "1d" }),
  }),
  createPublication: switchFlag({
    name: "create-publication",
    category: "slot",
    short: "create the publication before the slot",
    long:
      "With `pgoutput`, and with `--create-slot` or `--recreate-slot`: before the slot, create " +
      "its publication, of all tables that `--table-pat`, `--include-table` and " +
      "`--exclude-table` allow and that have a replica identity. The log names the tables left " +
      "out. An existing publication is used as it is. The role needs CREATE on the database and " +
      "must own the tables; if not, the error gives the statement for somebody who does.",
  }),
  partitionRoot: switchFlag({
    name: "partition-root",
    category: "slot",
    short: "publish partitions under their root's name",
    long:
      "When `--create-publication` creates the publication: publish the changes of partitions under " +
      "the name of the partitioned table (`publish_via_partition_root`), so that consumers see one " +
      "table. PostgreSQL 13 and newer. `check` says which names will be published.",
  }),
};

/** Only what the server itself would refuse, so that a URL or a list of settings is recognized. */
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
