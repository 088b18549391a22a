import { systemClock } from "../../../src/base/clock.ts";
import type { OutputPlugin } from "../../../src/options.ts";
import { loadCatalog, type PgCatalog } from "../../../src/postgres/catalog/catalog.ts";
import { PLUGINS } from "../../../src/decode/plugins.ts";
import { OUTPUT_PLUGINS } from "../../../src/options.ts";
import { createTables, makeSmallTransactions } from "../backlog.ts";
import { BenchServer, benchSlot } from "../bench_server.ts";

/** What a real server sent for the same transactions, by each plugin, and its catalog. */
export interface Captured {
  /** CopyData messages, type and length first, as they come from the socket. */
  readonly messages: Readonly<Record<OutputPlugin, readonly Uint8Array[]>>;
  readonly changes: number;
  readonly catalog: PgCatalog;
}

/** Makes the transactions of the end-to-end bench, fewer of them, and takes down what comes of them. */
export async function captureMessages(transactions: number): Promise<Captured> {
  await using server = await BenchServer.start();
  await createTables(server);
  for (const plugin of OUTPUT_PLUGINS) await server.createSlot(plugin, plugin);
  const { changes } = await makeSmallTransactions(server, transactions);
  const { host, port, superuser, version } = server.postgres;
  const catalog = await loadCatalog(
    {
      hosts: [{ host, port }],
      database: "postgres",
      user: superuser,
      password: undefined,
      sslMode: "disable",
      sslRootCert: undefined,
      sslCert: undefined,
      sslKey: undefined,
      auth: "password",
      sslNegotiation: "postgres",
      channelBinding: "prefer",
      requireAuth: undefined,
      requirePeer: undefined,
      targetSessionAttrs: "any",
      connectTimeoutMs: 0,
      sessionOptions: undefined,
      passwordFile: undefined,
      applicationName: "bench",
    },
    systemClock,
    Math.random,
  );
  const capture = async (plugin: OutputPlugin) => {
    const options = PLUGINS[plugin].startOptions(benchSlot(plugin, plugin).publications, version)
      .flat();
    const rows = await server.query(
      `select lsn::text, data from pg_logical_slot_peek_binary_changes('${plugin}', null, null${
        options.map((option) => `, '${option}'`).join("")
      })`,
    );
    return rows.map(({ lsn, data }) => copyData(lsn, data));
  };
  const messages = {
    test_decoding: await capture("test_decoding"),
    wal2json: await capture("wal2json"),
    pgoutput: await capture("pgoutput"),
  };
  return { messages, changes, catalog };
}

/** A CopyData message with an XLogData message in it, as a walsender sends it. */
function copyData(lsn: string, data: Uint8Array): Uint8Array {
  const message = new Uint8Array(5 + 25 + data.length);
  const view = new DataView(message.buffer);
  const [high, low] = lsn.split("/").map((half) => parseInt(half, 16));
  view.setUint8(0, "d".charCodeAt(0));
  view.setUint32(1, message.length - 1);
  view.setUint8(5, "w".charCodeAt(0));
  view.setUint32(6, high!);
  view.setUint32(10, low!);
  message.set(data, 30);
  return message;
}
