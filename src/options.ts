/** What a run was asked for: the command line and the environment, validated. */
export interface RunOptions {
  readonly postgres: PostgresOptions;
  readonly slot: SlotOptions;
  readonly stream: StreamOptions;
  readonly format: FormatOptions;
  readonly policy: PolicyOptions;
  readonly telemetry: TelemetryOptions;
  readonly log: LogOptions;
}

export const SSL_MODES = [
  "disable",
  "allow",
  "prefer",
  "require",
  "verify-ca",
  "verify-full",
] as const;
export type SslMode = typeof SSL_MODES[number];

/** Where PostgreSQL is and who asks. Everything is resolved: flags, then the URL, then the environment. */
export interface PostgresOptions {
  /** Tried in order. A host that begins with `/` is the directory of a Unix socket. */
  readonly hosts: readonly {
    readonly host: string;
    readonly port: number;
    /** Where the host is, without asking the name service. */
    readonly address?: string;
    /** Nobody named this socket: it is taken only where its owner is one that may run a server. */
    readonly guessed?: true;
  }[];
  readonly database: string;
  readonly user: string;
  /** From the URL or `PGPASSWORD`; otherwise the password file is asked when the server asks. */
  readonly password: string | undefined;
  /** `rds-iam`: the password is a token of Amazon's IAM, a new one for every connection. */
  readonly auth: "password" | "rds-iam";
  readonly sslMode: SslMode;
  /** A file, or `system`. */
  readonly sslRootCert: string | undefined;
  readonly sslCert: string | undefined;
  readonly sslKey: string | undefined;
  readonly sslNegotiation: "postgres" | "direct";
  /** `require` fails unless the login is by SCRAM-SHA-256-PLUS. */
  readonly channelBinding: "disable" | "prefer" | "require";
  /** What the server may ask for, as libpq's `require_auth` has it; undefined: anything. */
  readonly requireAuth: AuthRequirement | undefined;
  /** The user of this machine whose Unix socket it must be; undefined: anybody's. */
  readonly requirePeer: string | undefined;
  readonly targetSessionAttrs: TargetSessionAttrs;
  /** For one host; 0: no limit. */
  readonly connectTimeoutMs: number;
  /** Command-line options for the server's session, as in `PGOPTIONS`. */
  readonly sessionOptions: string | undefined;
  /** A password file other than `~/.pgpass`. */
  readonly passwordFile: string | undefined;
  readonly applicationName: string;
}

/** What `require_auth` names; only the first three and `none` are spoken here. */
export const AUTH_METHODS = [
  "password",
  "md5",
  "scram-sha-256",
  "gss",
  "sspi",
  "oauth",
  "none",
] as const;
export type AuthMethod = typeof AUTH_METHODS[number];

export interface AuthRequirement {
  /** As it was given, for messages. */
  readonly text: string;
  /** `none`: that the server asks for nothing. */
  readonly allowed: ReadonlySet<AuthMethod>;
}

export type TargetSessionAttrs =
  | "any"
  | "read-write"
  | "read-only"
  | "primary"
  | "standby"
  | "prefer-standby";

export const OUTPUT_PLUGINS = ["test_decoding", "wal2json", "pgoutput"] as const;
export type OutputPlugin = typeof OUTPUT_PLUGINS[number];

export interface SlotOptions {
  readonly name: string;
  readonly plugin: OutputPlugin;
  readonly create: boolean;
  readonly recreate: boolean;
  /** A slot that is made is to be synchronized to standby servers (PostgreSQL 17). */
  readonly failover: boolean;
  /** A slot that is made begins with the request to read every table. */
  readonly backfill: boolean;
  /** While another client holds the slot, wait for it. */
  readonly standby: boolean;
  /** How long the server may be silent before the connection counts as lost; 0: forever. */
  readonly silenceMs: number;
  /** pgoutput only. */
  readonly publications: readonly string[];
  /** Before the slot is created, unless it exists; then there is one name in `publications`. */
  readonly createPublication: boolean;
  /** A publication that is created publishes partitions under the name of their root (PostgreSQL 13). */
  readonly partitionRoot: boolean;
}

/** Where the changes of some tables, or some logical messages, go instead of the one stream. */
export interface Route {
  readonly of: "table" | "message";
  /** Of `schema.table`, or of a message's prefix. */
  readonly glob: string;
  /** A stream's name or ARN, both perhaps with `{schema}` and `{table}`; undefined: nowhere. */
  readonly stream: string | undefined;
}

export interface StreamOptions {
  /** A name, in the region and account of the AWS settings; or an ARN, which has both. */
  readonly name: string;
  readonly create: boolean;
  /** Shards of a stream that is created; 0 asks for on-demand mode. */
  readonly shardCount: number;
  readonly aggregation: "kpl" | "none";
  readonly lingerMs: number;
  /** How puts are written. */
  readonly wire: "json" | "cbor";
  readonly onOversize: "stop" | "key-only" | "skip";
}

export type Operation = "insert" | "update" | "delete" | "truncate";

export type PartitionKeyChoice =
  | { readonly kind: "pkey" | "table" | "xid" }
  | { readonly kind: "fixed"; readonly text: string };

/** Of `-f debezium`, under the names that its connector has for them. */
export interface DebeziumOptions {
  /** `topic.prefix` */
  readonly name: string;
  /** `decimal.handling.mode` */
  readonly decimals: "precise" | "string" | "double";
  /** `tombstones.on.delete`: a record without data behind each delete. */
  readonly tombstones: boolean;
  /** `null.key`: the partition key of what has no key; undefined: the table's name. */
  readonly nullKey: string | undefined;
  /** `provide.transaction.metadata` */
  readonly transactions: boolean;
  /** The database's name. */
  readonly database: string;
}

/** The settings of a Kinesis endpoint of AWS DMS that change what a record looks like, under AWS's names. */
export interface DmsSettings {
  readonly IncludeNullAndEmpty: boolean;
  readonly IncludeTransactionDetails: boolean;
  readonly IncludePartitionValue: boolean;
  /** Unlike DMS's own, on unless it is set to false: a record when a table's columns changed. */
  readonly IncludeTableAlterOperations: boolean;
  /** Unlike DMS's own, on unless it is set to false: the columns in a control record. */
  readonly IncludeControlDetails: boolean;
  readonly NoHexPrefix: boolean;
  /** Which columns of the old row a record has: `BeforeImageSettings` and its `ColumnFilter`. */
  readonly BeforeImage: "none" | "pk-only" | "non-lob" | "all";
}

/** Of `-f dms`. */
export interface DmsOptions extends DmsSettings {
  /** What control records go by. */
  readonly taskId: string;
}

export interface FormatOptions {
  /** `CSV`, `CSVPayload`, `JSON`, `debezium`, `dms`, or the path of a module. */
  readonly formatter: string;
  readonly fullChange: boolean;
  readonly partitionKey: PartitionKeyChoice;
  readonly tablePattern: RegExp | undefined;
  readonly includeTables: readonly string[];
  readonly excludeTables: readonly string[];
  /** `schema.table.column`, as given. */
  readonly excludeColumns: readonly string[];
  readonly maskColumns: readonly string[];
  /** From the environment; there whenever a column is masked. */
  readonly maskSalt: string | undefined;
  readonly operations: ReadonlySet<Operation>;
  /** Globs of the logical messages' prefixes. */
  readonly messagePrefixes: readonly string[];
  /** Whether a record tells each shard where a transaction ends; Debezium has one of its own for that. */
  readonly commitRecords: boolean;
  /** What each record ends with. */
  readonly recordSeparator: "none" | "newline";
  /** The first that matches counts; what matches none goes to the one stream that is named beside them. */
  readonly routes: readonly Route[];
  readonly debezium: DebeziumOptions;
  readonly dms: DmsOptions;
}

export interface PolicyOptions {
  readonly onMissingPkey: "skip" | "stop";
  readonly onUnknownTable: "stop" | "skip";
  readonly onPluginSkip: "stop" | "warn";
  readonly refreshPkeysMs: number;
  /** How often a heartbeat is written into the WAL; 0: never. */
  readonly heartbeatMs: number;
  /** Rows a second that a backfill reads, at most; undefined: no limit. */
  readonly backfillRate: number | undefined;
}

export interface ListenAddress {
  readonly hostname: string;
  /** 0: any that is free. */
  readonly port: number;
}

/** How far behind a run may be. */
export type LagLimit =
  | { readonly kind: "seconds"; readonly seconds: number }
  | { readonly kind: "bytes"; readonly bytes: number };

export interface TelemetryOptions {
  /** Undefined: nothing is served. */
  readonly metricsAddress: ListenAddress | undefined;
  /** Names, beside those of the loopback, by which it may be asked for. */
  readonly metricsHosts: readonly string[];
  /** Undefined: a run is ready however far it is behind. */
  readonly readyLag: LagLimit | undefined;
  /** Of WAL that the slot retains; undefined: no limit. */
  readonly maxLagBytes: number | undefined;
  readonly onMaxLag: "warn" | "stop";
}

export interface LogOptions {
  readonly format: "text" | "json";
  readonly level: "debug" | "info" | "warning" | "error";
}
