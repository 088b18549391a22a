import { parseStreamArn } from "../kinesis/client/stream_arn.ts";
import { PLUGINS } from "../decode/plugins.ts";
import { FORMAT_NAMES, FORMATS, formatTraits, publishesKeysOnly } from "../format/format_traits.ts";
import { isModulePath } from "../format/user/module_path.ts";
import type { RunOptions } from "../options.ts";
import { UsageError } from "../base/errors.ts";
import { type ConnectionLayer, resolveConnection } from "../libpq/resolve_connection.ts";
import { type FlagId, flags, type FlagValues, MASK_SALT_VARIABLE } from "./flags.ts";
import type { Machine } from "../libpq/machine.ts";

/** Where a flag's value comes from. */
export type Origin = "argument" | "environment" | "file" | "default";

export interface Settings {
  readonly values: FlagValues;
  readonly originOf: (id: FlagId) => Origin;
  /** The flag as the operator gave it: `--linger`, its variable, or its key and the file. */
  readonly nameOf: (id: FlagId) => string;
}

const DEBEZIUM_FLAGS: readonly FlagId[] = [
  "debeziumName",
  "debeziumDecimals",
  "debeziumTombstones",
  "debeziumNullKey",
];

/** Fits the flags to each other and to the environment. Looks at files, and changes nothing. */
export function buildRunOptions(
  settings: Settings,
  env: Readonly<Record<string, string | undefined>>,
  host: Machine,
): { readonly options: RunOptions; readonly warnings: readonly string[] } {
  const { values } = settings;
  const { postgres, warnings: connectionWarnings } = buildPostgresOptions(settings, env, host);
  const warnings = [...connectionWarnings];

  const { fullChange, messageFormatter: formatter } = values;
  const traits = formatTraits({ formatter });
  if (fullChange && traits.fullChange !== "taken") {
    throw new UsageError(
      `${
        settings.nameOf("fullChange")
      } goes with the message formatter CSVPayload only, not with ` +
        `${formatter}, ${traits.fullChange}`,
    );
  }

  // Told before a server is asked or a stream created.
  if (isModulePath(formatter) && !host.exists(formatter)) {
    throw new UsageError(`${settings.nameOf("messageFormatter")}: there is no file ${formatter}`);
  }

  /** A flag that would do nothing: wrong when typed, a remark where it stands for several commands. */
  const idle = (id: FlagId, without: string) => {
    if (settings.originOf(id) === "default") return;
    const message = `${settings.nameOf(id)} has no effect without ${without}`;
    if (settings.originOf(id) === "argument") throw new UsageError(message);
    warnings.push(message);
  };
  const { usesPublications } = PLUGINS[values.pgSlotOutputPlugin];
  if (!values.createStream) idle("shardCount", "--create-stream");
  if (!values.createSlot && !values.recreateSlot) {
    idle("slotFailover", "--create-slot or --recreate-slot");
    idle("backfill", "--create-slot or --recreate-slot");
  }
  if (values.standby && values.recreateSlot) {
    throw new UsageError(
      `${settings.nameOf("standby")} and ${settings.nameOf("recreateSlot")} exclude each other: ` +
        "the next host would drop what the other had not yet published; recreate the slot once, or " +
        "use --create-slot",
    );
  }
  if (values.backfill && values.slotFailover) {
    throw new UsageError(
      `${settings.nameOf("backfill")} and ${settings.nameOf("slotFailover")} exclude each other, ` +
        "since PostgreSQL does not copy a slot's failover property; create the slot, then run " +
        "pg2kinesis backfill",
    );
  }
  if (values.metricsAddr === undefined) {
    idle("readyLag", "--metrics-addr");
    idle("metricsHost", "--metrics-addr");
  }
  if (values.maxLagBytes === undefined) idle("onMaxLag", "--max-lag-bytes");
  if (!usesPublications) idle("pgPublication", "--pg-slot-output-plugin pgoutput");
  if (!values.createPublication) idle("partitionRoot", "--create-publication");
  if (values.createPublication) {
    if (!usesPublications) idle("createPublication", "--pg-slot-output-plugin pgoutput");
    else if (!values.createSlot && !values.recreateSlot) {
      idle("createPublication", "--create-slot or --recreate-slot");
    } else if (values.pgPublication.length > 1) {
      throw new UsageError(
        `${settings.nameOf("createPublication")} creates one publication, and ` +
          `${settings.nameOf("pgPublication")} names ${values.pgPublication.length}; name one`,
      );
    }
  }

  if (values.messageFormatter !== "debezium") {
    for (const id of DEBEZIUM_FLAGS) idle(id, "--message-formatter debezium");
  }
  if (!["JSON", "debezium"].includes(values.messageFormatter)) {
    idle("transactionRecords", "--message-formatter JSON or debezium");
  }
  if (values.messageFormatter !== "dms") idle("dms", "--message-formatter dms");

  if (values.messagePrefix.length > 0 && !traits.hasMessages) {
    const others = FORMAT_NAMES.filter((name) => FORMATS[name].hasMessages);
    warnings.push(
      `${settings.nameOf("messagePrefix")} has no effect: ${formatter} has no place for logical ` +
        `messages; ${others.join(", ")} and modules of your own have`,
    );
  }

  if (
    !publishesKeysOnly({ formatter, fullChange }) &&
    settings.originOf("onMissingPkey") !== "default"
  ) {
    warnings.push(
      `${settings.nameOf("onMissingPkey")} has no effect: a format with all columns needs no key`,
    );
  }

  const maskSalt = env[MASK_SALT_VARIABLE] || undefined;
  if (values.maskColumn.length > 0 && maskSalt === undefined) {
    throw new UsageError(
      `${settings.nameOf("maskColumn")} needs a salt, since plain hashes can be guessed; set ` +
        `${MASK_SALT_VARIABLE} to a secret text and keep it`,
    );
  }

  return {
    options: {
      postgres,
      slot: {
        name: values.pgSlotName,
        plugin: values.pgSlotOutputPlugin,
        create: values.createSlot,
        recreate: values.recreateSlot,
        failover: values.slotFailover,
        backfill: values.backfill,
        standby: values.standby,
        silenceMs: values.pgTimeout,
        publications: !usesPublications
          ? []
          : values.pgPublication.length > 0
          ? values.pgPublication
          : [values.pgSlotName],
        createPublication: values.createPublication,
        partitionRoot: values.partitionRoot,
      },
      stream: {
        name: withinAccount(onlyStream(settings), values.createStream),
        create: values.createStream,
        shardCount: values.shardCount ?? Number(flags.shardCount.defaultText),
        aggregation: values.aggregation,
        lingerMs: values.linger,
        wire: values.kinesisWire,
        onOversize: values.onOversize,
      },
      format: {
        formatter: values.messageFormatter,
        fullChange: values.fullChange,
        partitionKey: values.partitionKey,
        tablePattern: values.tablePat,
        includeTables: values.includeTable,
        excludeTables: values.excludeTable,
        excludeColumns: values.excludeColumn,
        maskColumns: values.maskColumn,
        maskSalt,
        operations: values.operations,
        messagePrefixes: values.messagePrefix,
        routes: values.route,
        commitRecords: values.transactionRecords && values.messageFormatter === "JSON",
        recordSeparator: values.recordSeparator,
        debezium: {
          name: values.debeziumName,
          decimals: values.debeziumDecimals,
          tombstones: values.debeziumTombstones,
          nullKey: values.debeziumNullKey,
          transactions: values.transactionRecords && values.messageFormatter === "debezium",
          database: postgres.database,
        },
        dms: { ...values.dms, taskId: values.pgSlotName },
      },
      policy: {
        onMissingPkey: values.onMissingPkey,
        onUnknownTable: values.onUnknownTable,
        onPluginSkip: values.onPluginSkip,
        refreshPkeysMs: values.refreshPkeys,
        heartbeatMs: values.heartbeat,
        backfillRate: values.backfillRate,
      },
      telemetry: {
        metricsAddress: values.metricsAddr,
        metricsHosts: values.metricsHost,
        readyLag: values.readyLag,
        maxLagBytes: values.maxLagBytes,
        onMaxLag: values.onMaxLag,
      },
      log: { format: values.logFormat, level: values.logLevel },
    },
    warnings,
  };
}

/** Of every command that connects to PostgreSQL. */
export function buildPostgresOptions(
  settings: Settings,
  env: Readonly<Record<string, string | undefined>>,
  host: Machine,
): ReturnType<typeof resolveConnection> {
  const { pgUrl, pgAuth } = settings.values;
  const { postgres, warnings } = resolveConnection(connectionLayers(settings), env, host, pgAuth);
  if (settings.originOf("pgUrl") !== "argument" || !pgUrl?.has("password")) {
    return { postgres, warnings };
  }
  const readable =
    "every user of this machine can read the password in --pg-url; put the URL into " +
    "PG2KINESIS_PG_URL, or the password into PGPASSWORD or ~/.pgpass";
  return { postgres, warnings: [...warnings, readable] };
}

/** libpq's keywords for the single flags of the connection. */
const CONNECTION_FLAGS = {
  pgDbname: "dbname",
  pgHost: "host",
  pgPort: "port",
  pgUser: "user",
  pgSslmode: "sslmode",
  pgSslrootcert: "sslrootcert",
  pgSslcert: "sslcert",
  pgSslkey: "sslkey",
} as const;

/**
 * Single flags win over the URL, and the command line over the environment, which wins over the file; so a URL that is typed
 * wins over a `PG2KINESIS_PG_HOST`, and a typed `-h` over a `PG2KINESIS_PG_URL`.
 */
function connectionLayers(settings: Settings): ConnectionLayer[] {
  const layers: ConnectionLayer[] = [];
  for (const origin of ["argument", "environment", "file"] as const) {
    const single = new Map<string, string>();
    const names = new Map<string, string>();
    for (const [id, keyword] of Object.entries(CONNECTION_FLAGS)) {
      const flagId = id as keyof typeof CONNECTION_FLAGS;
      const value = settings.values[flagId];
      if (value === undefined || settings.originOf(flagId) !== origin) continue;
      single.set(keyword, value);
      names.set(keyword, settings.nameOf(flagId));
    }
    layers.push({ settings: single, nameOf: (keyword) => names.get(keyword) ?? keyword });
    if (settings.values.pgUrl !== undefined && settings.originOf("pgUrl") === origin) {
      const name = settings.nameOf("pgUrl");
      layers.push({
        settings: settings.values.pgUrl,
        nameOf: (keyword) => `${name}, ${keyword}`,
      });
    }
  }
  return layers;
}

/** On the command line the last one counts, as of any flag that is given twice. */
function onlyStream({ values: { streamName }, originOf, nameOf }: Settings): string {
  if (streamName.length > 1 && originOf("streamName") !== "argument") {
    throw new UsageError(
      `${
        nameOf("streamName")
      }: takes one value, found ${streamName.length}; --route sends tables ` +
        "to other streams",
    );
  }
  return streamName.at(-1)!;
}

/** A stream is made by its name, in the account of the credentials; an ARN may be of another one. */
function withinAccount(streamName: string, isCreated: boolean): string {
  const arn = parseStreamArn(streamName);
  if (arn === undefined || !isCreated) return streamName;
  throw new UsageError(
    `--create-stream makes a stream by its name: write --stream-name ${arn.name} with the credentials ` +
      `of the account ${arn.account} and AWS_REGION=${arn.region}, or leave --create-stream out`,
  );
}
