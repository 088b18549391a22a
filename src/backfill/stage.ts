import { getLogger } from "@logtape/logtape";
import type { Clock } from "../base/clock.ts";
import type { Lsn } from "../base/lsn.ts";
import type { RecordWriter, Ticket } from "../base/record_writer.ts";
import type { Checkpoint } from "../checkpoint.ts";
import { decodeUtf8 } from "../decode/utf8.ts";
import {
  type AmbiguousMessage,
  BACKFILL_PREFIX,
  type Commit,
  type LogicalMessage,
  type Relation,
  type RowChange,
} from "../decode/event.ts";
import { PLUGINS } from "../decode/plugins.ts";
import type { Change } from "../format/formatter.ts";
import type { Operation, OutputPlugin } from "../options.ts";
import type { Catalog } from "../postgres/catalog/known_table.ts";
import type { Publisher } from "../publisher.ts";
import type { BackfillState } from "./backfill_state.ts";
import { changedKeys, keyText } from "./changed_keys.ts";
import type { Part } from "./chunk.ts";
import { type ControlMessage, MAX_CONTROL_BYTES, parseControlMessage } from "./control_message.ts";
import type { Place } from "./ledger.ts";
import { publishChunk } from "./publish_chunk.ts";
import { FilledChange, lacksValues } from "./read_row.ts";
import { type AgainEntry, areTooMany, type TableRead } from "./table_read.ts";

const logger = getLogger(["pg2kinesis", "backfill"]);

/** A warning of the same kind is logged so often. */
const REMINDER_MS = 60_000;
/** Control messages of one transaction, which anybody may fill with them. A run's own has one. */
const MAX_MESSAGES = 64;

export interface StageParts {
  readonly slot: string;
  readonly plugin: OutputPlugin;
  readonly state: BackfillState;
  readonly catalog: Catalog;
  readonly publisher: Publisher;
  readonly writer: RecordWriter;
  readonly checkpoint: Checkpoint;
  /** Whether the filters let an operation on a table pass, by `schema.table`. */
  readonly isWanted: (operation: Operation, qualifiedName: string) => boolean;
  readonly clock: Clock;
}

/** What is to be known of the changes of one table. */
interface Followed {
  readonly keyNames: readonly string[];
  /** Empty before they are looked up. */
  readonly tables: readonly TableRead[];
}

/**
 * The backfill in the stream: it sees every change in its order, before it is formatted, and puts the rows
 * that were read where their mark comes back. BACKFILL rules B3 to B8.
 */
export class BackfillStage {
  /** Control messages of the open transaction. */
  #messages: { readonly message: ControlMessage; readonly lsn: Lsn }[] = [];
  /** Of their contents. */
  #messageBytes = 0;
  /** Where the last transaction ended. */
  #passed: Lsn;
  /** What may be confirmed so that the open transaction is sent again. */
  #before: Lsn;
  #followed = new WeakMap<Relation, Followed | "not">();
  #followedAt = "";
  #warnedMs = -Infinity;

  constructor(private readonly parts: StageParts) {
    this.#passed = this.#before = parts.checkpoint.storedLsn;
  }

  /** Takes a message of our prefix, whoever wrote it; false: it is another's. */
  control(event: LogicalMessage | AmbiguousMessage): boolean {
    if (event.prefix !== BACKFILL_PREFIX) return false;
    this.#take(event);
    return true;
  }

  /** A replication session has begun; `branch`: on another timeline, which left the one before there. */
  restarted(branch: Lsn | undefined): void {
    const { state } = this.parts;
    if (branch !== undefined) {
      state.leaveAt(branch);
      if (this.#passed > branch) this.#passed = branch;
    }
    state.beginEpoch();
  }

  begin(): void {
    const { storedLsn } = this.parts.checkpoint;
    this.#before = storedLsn > this.#passed ? storedLsn : this.#passed;
  }

  #take(event: LogicalMessage | AmbiguousMessage): void {
    const content = event.kind === "message" && event.transaction !== undefined
      ? decodeUtf8(event.content, 0, event.content.length)
      : undefined;
    const parsed = content === undefined
      ? { fault: "is no text, is not transactional, or can be read in two ways" }
      : parseControlMessage(content);
    if ("fault" in parsed) this.#malformed(parsed.fault);
    else if (parsed.message.slot !== this.parts.slot) return;
    else if (this.#messages.length >= MAX_MESSAGES || this.#messageBytes > MAX_CONTROL_BYTES) {
      this.#malformed("comes after too many others of its transaction");
    } else {
      this.#messages.push({ message: parsed.message, lsn: event.lsn });
      this.#messageBytes += content!.length;
    }
  }

  /** Gives what was changed as it is to be published. */
  change<T extends Change>(change: T): T | RowChange {
    if (!this.parts.state.isActive) return change;
    switch (change.kind) {
      case "insert":
      case "update":
      case "delete":
        return this.#row(change);
      case "truncate":
        for (const relation of change.relations) {
          this.#noteAll(change.transaction.xid, relation);
        }
        return change;
      default:
        return change;
    }
  }

  #row(change: RowChange): RowChange {
    const { plugin } = this.parts;
    if (change.kind === "read") return change;
    const followed = this.#follow(change.relation);
    if (followed === "not" || !this.parts.isWanted(change.kind, change.relation.qualifiedName)) {
      return change;
    }
    const { xid } = change.transaction;
    const name = change.relation.qualifiedName;
    const keys = changedKeys(change, followed.keyNames);
    if (keys === undefined) {
      this.#noteAll(xid, change.relation);
      return change;
    }
    const touched = keys.old === undefined || keys.old === keys.new
      ? [keys.new!]
      : keys.new === undefined
      ? [keys.old]
      : [keys.old, keys.new];
    if (followed.tables.length > 0) this.parts.state.noted.note(xid, name, touched);
    const shown = this.#takeOut(change, touched);
    const isMoved = keys.old !== undefined && keys.new !== undefined && keys.old !== keys.new;
    // With a row filter an update that enters it comes as an insert.
    const mayLack = isMoved || change.kind === "insert" && PLUGINS[plugin].usesPublications;
    if (mayLack && keys.newValues !== undefined) {
      const columns = followed.tables[0]?.plan?.columns.map((column) => column.name);
      if (lacksValues(shown, plugin, columns)) {
        this.#readAgain(followed, name, keys.newValues, xid);
      }
    }
    return shown;
  }

  /** The open transaction ends: what its control messages say holds, and rows find their place here. */
  commit(event: Commit, ticket: Ticket): Promise<void> | undefined {
    const { endLsn } = event;
    this.#passed = endLsn;
    if (this.#messages.length === 0) return undefined;
    return this.#takeMessages(event, ticket, { before: this.#before, endLsn });
  }

  async #takeMessages(event: Commit, ticket: Ticket, place: Place): Promise<void> {
    const { state, checkpoint, clock } = this.parts;
    const messages = this.#messages;
    this.#messages = [];
    this.#messageBytes = 0;
    for (const { message, lsn } of messages) {
      switch (message.kind) {
        case "request":
        case "stop":
          if (!state.ledger.ask(message, place)) {
            this.#malformed("comes after too many others that no run has taken over");
          }
          break;
        case "ping":
          if (message.run !== state.run || message.number !== state.ping?.number) break;
          state.roundTripMs = clock.now() - state.ping.sentMs;
          // It was written before the ping, and would have come back before it.
          if (state.mark !== undefined && state.mark.number < message.number) {
            state.mark = undefined;
            state.chunk = undefined;
          }
          state.hasJoined = true;
          state.generation = Math.max(state.generation, state.ledger.foundGeneration + 1);
          break;
        case "mark":
        case "done":
          if (message.run !== state.run) {
            if (!state.hasJoined && state.cameBack === 0) state.ledger.find(message, place);
            break;
          }
          if (message.number === state.mark?.number) {
            state.roundTripMs = clock.now() - state.mark.sentMs;
            state.mark = undefined;
          }
          state.ledger.cameBack(message, place);
          state.cameBack = message.number;
          if (message.kind === "done") state.setTables(undefined, undefined);
          if (state.chunk?.number === message.number) {
            const { chunk } = state;
            state.chunk = undefined;
            const at = { lsn, transaction: event.transaction, endLsn: place.endLsn };
            state.isPublishing = true;
            await publishChunk(this.parts, chunk, at, ticket);
            state.isPublishing = false;
          }
          break;
        default:
          message satisfies never;
      }
    }
    checkpoint.hold(state.bound(checkpoint.storedLsn));
    state.version++;
    state.wake();
  }

  /**
   * A change that the snapshot of the rows in hand does not see takes its row out of them (B5). Values that it
   * left in TOAST it gets from that row, which is what it was before.
   */
  #takeOut(change: RowChange, touched: readonly string[]): RowChange {
    const { state, plugin, publisher } = this.parts;
    const { chunk } = state;
    if (chunk === undefined || chunk.snapshot(change.transaction.xid)) return change;
    let shown = change;
    for (const part of this.#partsOf(change.relation)) {
      for (const [index, key] of touched.entries()) {
        const row = part.rows.get(key);
        if (row === undefined) continue;
        part.rows.delete(key);
        if (index > 0 || change.kind === "delete") continue;
        const columns = row.plan.columns.map((column) => column.name);
        if (!lacksValues(change, plugin, columns)) continue;
        const filled = new FilledChange(change, row, plugin);
        if (publisher.fits(filled)) shown = filled;
        else {
          const newKey = changedKeys(change, part.table.keyNames!)!;
          this.#enter(part.table, newKey.newValues!, change.transaction.xid);
        }
      }
    }
    return shown;
  }

  *#partsOf(relation: Relation): Iterable<Part> {
    for (const part of this.parts.state.chunk?.parts ?? []) {
      if (isNamed(part.table, relation)) yield part;
    }
  }

  #noteAll(xid: number, relation: Relation): void {
    const { state } = this.parts;
    const { qualifiedName } = relation;
    if (!state.byRelation.has(qualifiedName)) return;
    state.noted.noteAll(xid, qualifiedName);
    if (state.chunk === undefined || state.chunk.snapshot(xid)) return;
    for (const part of this.#partsOf(relation)) part.isVoid = true;
  }

  /** The new key of a change that lacks values (B7). */
  #readAgain(
    { tables, keyNames }: Followed,
    name: string,
    values: readonly string[],
    xid: number,
  ): void {
    const { state } = this.parts;
    if (tables.length === 0) {
      const bound = state.ledger.bound;
      state.addEarly(name, {
        names: keyNames,
        entry: { values, xid, bound, step: undefined },
      });
      return;
    }
    for (const table of tables) this.#enter(table, values, xid);
  }

  #enter(table: TableRead, values: readonly string[], xid: number): void {
    const { state } = this.parts;
    if (table.outcome !== undefined) return;
    const key = keyText(values);
    const earlier = table.again.get(key);
    const bound = earlier?.bound ?? state.ledger.bound;
    const entry: AgainEntry = { values, xid, bound, step: earlier?.step };
    table.again.set(key, entry);
    if (areTooMany(table.again.size, key)) state.beginAnew(table);
    state.wake();
  }

  #follow(relation: Relation): Followed | "not" {
    const { state, catalog } = this.parts;
    const at = `${state.version} ${catalog.version}`;
    if (at !== this.#followedAt) {
      this.#followedAt = at;
      this.#followed = new WeakMap();
    }
    let followed = this.#followed.get(relation);
    if (followed === undefined) {
      followed = this.#lookUp(relation);
      this.#followed.set(relation, followed);
    }
    return followed;
  }

  #lookUp(relation: Relation): Followed | "not" {
    const { state, catalog } = this.parts;
    const { qualifiedName } = relation;
    if (state.tables !== undefined) {
      const tables = (state.byRelation.get(qualifiedName) ?? [])
        .filter((table) => table.outcome === undefined && isNamed(table, relation));
      const keyNames = tables[0]?.keyNames;
      return keyNames === undefined ? "not" : { keyNames, tables };
    }
    const known = catalog.table(qualifiedName);
    const [primary = []] = known?.keys ?? [];
    const keyNames = primary.length > 0 ? primary : known?.identityColumns;
    return keyNames === undefined ? "not" : { keyNames, tables: [] };
  }

  #malformed(fault: string): void {
    const { state, clock } = this.parts;
    state.malformed++;
    if (clock.now() - this.#warnedMs < REMINDER_MS) return;
    this.#warnedMs = clock.now();
    logger.warn("a control message of a backfill {fault}; it is ignored, {count} of them so far", {
      fault,
      count: state.malformed,
    });
  }
}

/** `a.b.c` alone may be two tables. */
function isNamed({ plan }: TableRead, { schema, table }: Relation): boolean {
  return plan?.relation.table === table && plan.relation.schema === schema;
}
