import { getLogger } from "@logtape/logtape";
import { PLUGINS } from "../../decode/plugins.ts";
import { systemClock } from "../../base/clock.ts";
import { RunError } from "../../base/errors.ts";
import { type Lsn, parseLsn } from "../../base/lsn.ts";
import { bounded } from "../../postgres/connection/bounded.ts";
import type { Connection } from "../../postgres/connection/connection.ts";
import { PostgresError } from "../../postgres/connection/postgres_error.ts";
import { quoteIdentifier } from "../../postgres/connection/sql_text.ts";
import { countOf, someOf } from "../../base/quantity.ts";
import {
  type ControlMessage,
  EMIT_STATEMENT,
  MAX_REQUEST_LENGTH,
  printControlMessage,
} from "../control_message.ts";
import { readEmitRight } from "../emit_right.ts";
import { NEWS_CHANNEL } from "../progress.ts";
import type { Asking } from "../eligible_tables.ts";
import type { AskOptions } from "./ask_options.ts";
import { checkAskedTables, warnOfUnmatched } from "./asked_tables.ts";
import { connectToPrimary, findFollowedSlot, type FollowedSlot } from "./followed_slot.ts";
import { readStatus, renderStatus, renderStatusJson } from "./backfill_status.ts";
import { NewsWatch } from "./news_watch.ts";

const logger = getLogger(["pg2kinesis", "backfill"]);

/** The commit of a message, which may wait for a synchronous standby. */
const ANSWER_TIMEOUT_MS = 30_000;

/** What a slot's follower may have as its request's name: enough that two are not called alike. */
const ID_DIGITS = 10;

/**
 * Asks the run that follows a slot for a backfill, to stop one, or how one goes. `print` writes to stdout.
 * Gives whether all went well: false where a table was refused or given up.
 * @throws {RunError} one line for the operator.
 */
export async function ask(
  options: AskOptions,
  print: (text: string) => Promise<unknown>,
  signal: AbortSignal,
): Promise<boolean> {
  const { postgres, action } = options;
  const primary = await connectToPrimary(postgres, signal);
  try {
    using slot = await findFollowedSlot(postgres, options.slot, primary, signal);
    switch (action.kind) {
      case "request":
        return await request(options, action, { primary, slot, print, signal });
      case "stop": {
        const { tables } = action;
        if (tables !== "all") await warnOfUnmatched(primary, tables);
        await emit(primary, { kind: "stop", slot: slot.name, tables }, signal);
        logger.info("asked the run that follows the slot {slot} to end the backfill of {tables}", {
          slot: slot.name,
          tables: tables === "all" ? "all tables" : someOf(tables),
        });
        await warnWithoutRun(slot);
        return true;
      }
      case "status": {
        const status = await readStatus(primary, slot);
        await print(action.json ? renderStatusJson(status) : renderStatus(status));
        return true;
      }
      default:
        return action satisfies never;
    }
  } finally {
    primary.destroy();
  }
}

interface Parts {
  readonly primary: Connection;
  readonly slot: FollowedSlot;
  readonly print: (text: string) => Promise<unknown>;
  readonly signal: AbortSignal;
}

async function request(
  { publications }: AskOptions,
  { tables, wait }: Extract<AskOptions["action"], { kind: "request" }>,
  { primary, slot, print, signal }: Parts,
): Promise<boolean> {
  const { plugin } = slot;
  const follower = await slot.follower();
  if (PLUGINS[plugin].usesPublications) await checkPublications(primary, publications);
  const role = follower?.role;
  const asking: Asking = { role, plugin, publications, version: await versionOf(primary) };
  const count = await checkAskedTables(primary, tables, asking);
  await checkEmitRight(primary, role);

  const id = newRequestId();
  const watch = wait ? new NewsWatch(primary, slot, id, systemClock) : undefined;
  if (watch !== undefined) {
    await primary.query("listen to the run", `LISTEN ${NEWS_CHANNEL}`);
  }
  const message: ControlMessage = { kind: "request", slot: slot.name, id, tables };
  const asked = await emit(primary, message, signal);
  await print(`${id}\n`);
  logger.info(`asked the run that follows the slot {slot} for the rows of {tables}`, {
    slot: slot.name,
    tables: countOf(count, "table"),
  });
  await warnWithoutRun(slot);
  return watch === undefined ? true : await watch.untilDone(asked, signal);
}

async function warnWithoutRun(slot: FollowedSlot): Promise<void> {
  if (await slot.follower() !== undefined) return;
  logger.warn(
    "no run follows the slot {slot}: what was asked waits in the WAL until one does",
    { slot: slot.name },
  );
}

async function checkPublications(
  connection: Connection,
  publications: readonly string[],
): Promise<void> {
  const rows = await connection.query(
    "look for the publications",
    `SELECT p.pubname AS name FROM pg_catalog.pg_publication p
      WHERE p.pubname OPERATOR(pg_catalog.=) ANY ($1)`,
    [publications],
  );
  const found = new Set(rows.map(({ name }) => name));
  const missing = publications.filter((name) => !found.has(name));
  if (missing.length === 0) return;
  throw new RunError(
    `there is no publication ${
      someOf(missing.map((name) => JSON.stringify(name)))
    } in this database; ` +
      "name those that the run follows with --pg-publication",
  );
}

async function versionOf(connection: Connection): Promise<number> {
  const [row] = await connection.query(
    "ask for the server's version",
    "SELECT pg_catalog.current_setting('server_version_num') AS number",
  );
  return Number(row!.number);
}

/** The role of the run writes messages too. */
async function checkEmitRight(connection: Connection, role: string | undefined): Promise<void> {
  if (role === undefined) return;
  const right = await readEmitRight(connection, role);
  if (right === undefined || right.mayEmit) return;
  throw new RunError(
    `the role ${
      quoteIdentifier(role)
    } of the run may not write the messages that a backfill is made of; ` +
      `run GRANT EXECUTE ON FUNCTION ${right.signature} TO ${quoteIdentifier(role)};`,
  );
}

const NO_RIGHT = "42501";

/** Gives where the message stands in the WAL. */
async function emit(
  connection: Connection,
  message: ControlMessage,
  signal: AbortSignal,
): Promise<Lsn> {
  const text = printControlMessage(message);
  if (text.length > MAX_REQUEST_LENGTH) {
    throw new RunError(
      "the names of the tables together are longer than a request may be; ask several times",
    );
  }
  await connection.query("set up the session", "SET synchronous_commit = on");
  const emitting = connection.query("write the request into the WAL", EMIT_STATEMENT, [text]);
  let isLate = false;
  const late = setTimeout(() => isLate = true, ANSWER_TIMEOUT_MS - 1000);
  try {
    const [row] = await bounded(connection, emitting, ANSWER_TIMEOUT_MS, signal);
    return parseLsn(row!.pg_logical_emit_message!);
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof PostgresError)) throw error;
    if (isLate) {
      throw new RunError(
        "the server did not say within 30 s that the request is stored, as when its commit waits for a " +
          "synchronous standby; look whether it was taken with pg2kinesis backfill --status",
        { cause: error },
      );
    }
    if (error.code !== NO_RIGHT) throw error;
    const right = await readEmitRight(connection, undefined);
    throw new RunError(
      `${error.message}; run GRANT EXECUTE ON FUNCTION ${right!.signature} TO ` +
        `${quoteIdentifier(right!.role)};`,
      { cause: error },
    );
  } finally {
    clearTimeout(late);
  }
}

function newRequestId(): string {
  return crypto.randomUUID().replaceAll("-", "").slice(0, ID_DIGITS);
}
