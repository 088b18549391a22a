import { systemClock } from "../base/clock.ts";
import { PLUGINS } from "../decode/plugins.ts";
import { createTableFilter } from "../format/filter/table_filter.ts";
import type { RunOptions } from "../options.ts";
import { loadCatalog } from "../postgres/catalog/catalog.ts";
import { connect, type Connection } from "../postgres/connection/connection.ts";
import { PostgresError } from "../postgres/connection/postgres_error.ts";
import {
  readServerFacts,
  type ServerCheck,
  serverProblems,
} from "../postgres/slot/server_facts.ts";
import { checkBackfill } from "./backfill_checks.ts";
import { checkEncryption, connectionRemedy } from "./connection_checks.ts";
import type { Findings } from "./finding.ts";
import { checkHeartbeat } from "./heartbeat_checks.ts";
import { checkMessages } from "./message_checks.ts";
import { checkPlugin } from "./plugin_checks.ts";
import { checkPublication } from "./publication_checks.ts";
import type { ServerContext } from "./server_context.ts";
import { checkRoutes, type StreamTables } from "./route_checks.ts";
import { checkSettings } from "./setting_checks.ts";
import { checkSlot, slotPlan } from "./slot_checks.ts";
import { checkTables } from "./table_checks.ts";
import { checkTransactions } from "./transaction_checks.ts";

/** Looks at everything on PostgreSQL's side that could stop a run. */
export async function checkPostgres(
  options: RunOptions,
  findings: Findings,
  signal: AbortSignal,
  /** Gets the streams that today's tables have by the routes. */
  tellStreams: (streams: StreamTables) => void = () => {},
): Promise<void> {
  const { postgres } = options;
  let connection: Connection;
  try {
    connection = await connect(postgres, "ordinary", signal);
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof PostgresError)) throw error;
    findings.stop("connection", error.message, connectionRemedy(error, postgres));
    return;
  }
  try {
    findings.ok("connection", `${connection.place}, database ${postgres.database}`);
    await checkEncryption(connection, postgres, findings);
    await checkServer({
      ...{ connection, options, findings, signal },
      facts: await readServerFacts(connection),
    }, tellStreams);
  } finally {
    connection.destroy();
  }
}

async function checkServer(
  server: Omit<ServerContext, "catalog" | "wanted">,
  tellStreams: (streams: StreamTables) => void,
): Promise<void> {
  const { facts, findings, options, signal } = server;
  const problems = serverProblems(facts, options.slot.plugin);
  const fine: Readonly<Record<ServerCheck, string>> = {
    version: `PostgreSQL ${facts.versionName}`,
    standby: facts.isStandby ? "a standby, which can decode" : "a primary",
    wal_level: `wal_level is ${facts.walLevel}`,
    role: `the role ${facts.role} may replicate`,
    encoding: `the database is encoded in ${facts.encoding}`,
  };
  for (const [check, text] of Object.entries(fine)) {
    const problem = problems.get(check as ServerCheck);
    if (problem === undefined) findings.ok(check, text);
    else findings.stop(check, problem.found, problem.remedy);
  }
  // Without a version that can, the rest has no sense, and asks for what is not there.
  if (problems.has("version")) return;
  const catalog = await loadCatalog(options.postgres, systemClock, Math.random, signal);
  try {
    const wanted = createTableFilter(options.format, catalog);
    const context = { ...server, catalog, wanted };
    // The streams need not wait for the rest.
    tellStreams(await checkRoutes(context));
    await checkDatabase(context, problems);
  } finally {
    catalog.close();
  }
}

async function checkDatabase(
  context: ServerContext,
  problems: ReturnType<typeof serverProblems>,
): Promise<void> {
  const { options } = context;
  const plan = await slotPlan(context);
  await checkPlugin(context);
  await checkSlot(context, plan);
  const canReplicate = !problems.has("wal_level") && !problems.has("role");
  await checkSettings(context, canReplicate);
  await checkHeartbeat(context);
  await checkMessages(context);
  await checkTransactions(context, plan);
  if (PLUGINS[options.slot.plugin].usesPublications) await checkPublication(context, plan);
  await checkTables(context);
  await checkBackfill(context);
}
