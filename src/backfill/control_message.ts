import { BACKFILL_PREFIX } from "../decode/event.ts";
import type { OidDistances } from "./oid_distances.ts";

/**
 * The logical messages that carry a backfill: what is asked for, how far it has come, and what a later run
 * goes on from. They are transactional, so each has its place among the commits, and they are the only
 * state that there is. Anybody who may call `pg_logical_emit_message` can write them: nothing here is
 * believed before it was checked.
 */
export { BACKFILL_PREFIX };

/** Emits a control message, `$1`, in the open transaction. */
export const EMIT_STATEMENT =
  `SELECT pg_catalog.pg_logical_emit_message(true, '${BACKFILL_PREFIX}', $1::pg_catalog.text)`;

/** As a plugin writes it. A longer message is nobody's: what anybody may write must not fill the memory. */
export const MAX_CONTROL_BYTES = 4 * 1024 * 1024;
/** Units of a request or a stop, so that a mark with all that wait is never too long. */
export const MAX_REQUEST_LENGTH = 16 * 1024;
/** Of one request, and of all that a mark carries. */
export const MAX_TABLES = 1000;
/** Units of a request's id, which each record of it carries. */
export const MAX_ID_LENGTH = 200;
/** More than a run can count up to. */
const MAX_GENERATION = 2 ** 52;
/** Requests that wait; more are merged into the last one. */
export const MAX_REQUESTS = 16;
/** Tables that have begun, or wait, behind which others were read. */
export const MAX_OPEN_TABLES = 16;
/** Tables of a mark that wait to be read: 10,000 of them take some 25 KB, and far less where they were made together. */
export const MAX_LEFT_TABLES = 20_000;

/**
 * Names of tables, `schema.table`, unquoted, where `*` stands for any characters, `?` for one and `\`
 * takes the next one as it is, as in `--include-table`; or every table that the filters of the run let pass.
 */
export type TableChoice = readonly string[] | "all";

/** Asks for a backfill. A message without a kind is one, as a person writes it in SQL. */
export interface RequestMessage {
  readonly kind: "request";
  readonly slot: string;
  /** Chosen by who asks; without it the request is called by the LSN at which its transaction ends. */
  readonly id: string | undefined;
  readonly tables: TableChoice;
}

/** Ends what was asked for before, for some tables or for all. */
export interface StopMessage {
  readonly kind: "stop";
  readonly slot: string;
  readonly tables: TableChoice;
}

/** A run asks the stream whether it has come as far. */
export interface PingMessage {
  readonly kind: "ping";
  readonly slot: string;
  readonly run: string;
  readonly number: number;
}

/** What is left of a request. */
export interface OpenRequest {
  readonly id: string;
  readonly tables: TableChoice;
  /** Tables that were stopped. */
  readonly except?: readonly string[];
}

/** A table that has not ended. */
export interface OpenTable {
  readonly oid: number;
  readonly name: string;
  /** The texts of the last key up to which every row is stored, in key order; undefined: from the first. */
  readonly after: readonly string[] | undefined;
  /** Records of it that are stored. */
  readonly rows: number;
}

/** Where a run stands, said by itself: enough to go on from. */
interface Position {
  readonly slot: string;
  /** One more than that of the mark that the run found; the highest wins, then the newest. */
  readonly generation: number;
  /** Names the run, by chance, and the message among the run's own. */
  readonly run: string;
  readonly number: number;
  /** The end LSN of the last transaction whose requests and stops are contained here, as `pg_lsn` prints it. */
  readonly taken: string;
  /** The one that is read first, then those that wait. */
  readonly requests: readonly OpenRequest[];
}

/** Ends a read; says up to where everything is stored. */
export interface MarkMessage extends Position {
  readonly kind: "mark";
  /** Of the first request every table with an OID up to this one has ended, but those that are open or left. */
  readonly upTo: number;
  readonly open: readonly OpenTable[];
  /**
   * OIDs of the other tables that have not ended.
   * Undefined where there are too many: then they are those behind `upTo` that the request's names choose.
   */
  readonly left?: OidDistances;
  /** An xid: whatever older transactions attached was known when the tables were looked up first. */
  readonly since?: number;
}

/** A whole request has ended; `requests` are those that are left. */
export interface DoneMessage extends Position {
  readonly kind: "done";
  readonly request: string;
}

export type ControlMessage =
  | RequestMessage
  | StopMessage
  | PingMessage
  | MarkMessage
  | DoneMessage;

/** What a message of the prefix turned out to be; `fault` completes "a control message of a backfill …". */
export type ParsedControl =
  | { readonly message: ControlMessage }
  | { readonly fault: string };

/** Reads the content of a message. What later versions may add to one is no fault. */
export function parseControlMessage(text: string): ParsedControl {
  try {
    return { message: readMessage(text) };
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return { fault: error.message };
  }
}

/**
 * Its content. In ASCII, since a message's bytes are not converted from the database's encoding. And
 * without `, sz:`, which may stand in a key: there test_decoding's line could be read in two ways, and
 * whoever writes such a key would hold up the backfill.
 */
export function printControlMessage(message: ControlMessage): string {
  return JSON.stringify(message)
    .replaceAll(", sz:", "\\u002c sz:")
    .replace(/[^\0-\x7E]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

class Fault extends Error {}

type Fields = Readonly<Record<string, unknown>>;

function readMessage(text: string): ControlMessage {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Fault("is no JSON");
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new Fault("is no JSON object");
  }
  const fields = value as Fields;
  const { kind = "request" } = fields;
  if ((kind === "request" || kind === "stop") && text.length > MAX_REQUEST_LENGTH) {
    throw new Fault(`has more than ${MAX_REQUEST_LENGTH} characters`);
  }
  const slot = readText(fields, "slot");
  switch (kind) {
    case "request": {
      const id = fields.id === undefined ? undefined : readText(fields, "id");
      if (id !== undefined && id.length > MAX_ID_LENGTH) {
        throw new Fault(`has an "id" of more than ${MAX_ID_LENGTH} characters`);
      }
      return { kind, slot, id, tables: readTables(fields.tables) };
    }
    case "stop":
      return { kind, slot, tables: readTables(fields.tables) };
    case "ping":
      return { kind, slot, run: readText(fields, "run"), number: readCount(fields, "number") };
    case "mark":
      return {
        kind,
        ...readPosition(fields, slot),
        upTo: readOid(fields, "upTo"),
        open: readList(fields, "open", MAX_OPEN_TABLES).map(readOpenTable),
        // Versions before wrote neither.
        ...fields.left === undefined ? {} : { left: readLeft(fields) },
        ...fields.since === undefined ? {} : { since: read32Bits(fields, "since", "xid") },
      };
    case "done":
      return { kind, ...readPosition(fields, slot), request: readText(fields, "request") };
    default:
      throw new Fault('has a "kind" that is none of request, stop, ping, mark and done');
  }
}

function readPosition(fields: Fields, slot: string): Position {
  const taken = readText(fields, "taken");
  if (!/^[0-9A-F]{1,8}\/[0-9A-F]{1,8}$/.test(taken)) {
    throw new Fault('has a "taken" that is no LSN');
  }
  return {
    slot,
    generation: Math.min(readCount(fields, "generation"), MAX_GENERATION),
    run: readText(fields, "run"),
    number: readCount(fields, "number"),
    taken,
    requests: readList(fields, "requests", MAX_REQUESTS).map(readOpenRequest),
  };
}

function readOpenRequest(value: unknown): OpenRequest {
  const fields = readObject(value, "requests");
  const { except } = fields;
  return {
    id: readText(fields, "id"),
    tables: readTables(fields.tables),
    ...except === undefined ? {} : { except: readNames(except, "except") },
  };
}

function readOpenTable(value: unknown): OpenTable {
  const fields = readObject(value, "open");
  const { after } = fields;
  return {
    oid: readOid(fields, "oid"),
    name: readText(fields, "name"),
    // The text of a key may be empty.
    after: after === undefined || after === null ? undefined : readKey(after),
    rows: readCount(fields, "rows"),
  };
}

function readLeft(fields: Fields): OidDistances {
  const left = readList(fields, "left", MAX_LEFT_TABLES);
  let tables = 0;
  for (const each of left) {
    const [distance, times, ...rest] = Array.isArray(each) ? each : [each, 1];
    if (!isCount(distance) || !isCount(times) || rest.length > 0) {
      throw new Fault('has "left" that are no distances');
    }
    tables += times;
    if (tables > MAX_LEFT_TABLES) throw new Fault(`has more than ${MAX_LEFT_TABLES} "left"`);
  }
  return left as OidDistances;
}

function readKey(value: unknown): readonly string[] {
  if (
    !Array.isArray(value) || value.length === 0 || !value.every((each) => typeof each === "string")
  ) {
    throw new Fault('has an "after" that is no list of texts');
  }
  return value;
}

/** Without tables, or with the word, all of them. */
function readTables(value: unknown): TableChoice {
  return value === undefined || value === "all" ? "all" : readNames(value, "tables");
}

function readNames(value: unknown, name: string): readonly string[] {
  if (
    !Array.isArray(value) || value.length === 0 ||
    !value.every((each) => typeof each === "string" && each !== "")
  ) throw new Fault(`has "${name}" that are no list of names`);
  if (value.length > MAX_TABLES) throw new Fault(`names more than ${MAX_TABLES} tables`);
  return value;
}

function readObject(value: unknown, name: string): Fields {
  if (typeof value !== "object" || value === null) {
    throw new Fault(`has "${name}" that are no objects`);
  }
  return value as Fields;
}

function readList(fields: Fields, name: string, most: number): readonly unknown[] {
  const value = fields[name];
  if (!Array.isArray(value)) throw new Fault(`has no list "${name}"`);
  if (value.length > most) throw new Fault(`has more than ${most} "${name}"`);
  return value;
}

function readText(fields: Fields, name: string): string {
  const value = fields[name];
  if (typeof value !== "string" || value === "") throw new Fault(`has no text "${name}"`);
  return value;
}

function readCount(fields: Fields, name: string): number {
  const value = fields[name];
  if (!isCount(value)) throw new Fault(`has no number "${name}"`);
  return value;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && value as number >= 0;
}

function readOid(fields: Fields, name: string): number {
  return read32Bits(fields, name, "OID");
}

function read32Bits(fields: Fields, name: string, what: "OID" | "xid"): number {
  const value = readCount(fields, name);
  if (value > 0xFFFF_FFFF) throw new Fault(`has a "${name}" that is no ${what}`);
  return value;
}
