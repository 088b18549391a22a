import type { XLogData } from "../../base/replication_message.ts";
import type { Decoder } from "../decoder.ts";
import type { TransactionEvent } from "../event.ts";
import { MAX_PREFIX_BYTES, type PublishesMessage } from "../message_prefix.ts";
import type { TypeName } from "../plugin.ts";
import { failAt, MessageReader, readUint32 } from "./pgoutput_reader.ts";
import { type Letter, LETTERS } from "./pgoutput_letters.ts";
import { type Description, type PgoutputRelation, RelationCache } from "./pgoutput_relation.ts";
import { PgoutputRow } from "./pgoutput_row.ts";
import type { Timelines } from "../../base/timelines.ts";
import { TransactionSequence } from "../transaction_sequence.ts";
import { decodeUtf8 } from "../utf8.ts";

const { begin: BEGIN, commit: COMMIT, delete: DELETE, insert: INSERT, message: MESSAGE } = LETTERS;
const { origin: ORIGIN, relation: RELATION, truncate: TRUNCATE, type: TYPE, update: UPDATE } =
  LETTERS;

/** What stands before a row: the old key, the old row, or the new row. */
const OLD_KEY = 0x4B, OLD_ROW = 0x4F, NEW_ROW = 0x4E;

/** PostgreSQL counts from 2000-01-01 UTC. */
const POSTGRES_EPOCH_MICROS = 946_684_800_000_000n;

const TRUNCATE_CASCADE = 1, TRUNCATE_RESTART_IDENTITY = 2;

/** In a row change, behind the letter and the table's OID: what stands before the first row. */
const FIRST_ROW = 1 + 4;
/** In a logical message, behind the letter, its flags and LSN. */
const PREFIX = 1 + 1 + 8;

/**
 * Decodes pgoutput's protocol version 1, without streaming and two-phase commit and with values as
 * text.
 * https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html
 */
export class PgoutputDecoder implements Decoder {
  #sequence = new TransactionSequence("pgoutput");
  #relations: RelationCache;

  constructor(typeName: TypeName, private readonly publishesMessage: PublishesMessage) {
    this.#relations = new RelationCache(typeName);
  }

  set timelines(timelines: Timelines) {
    this.#sequence.timelines = timelines;
  }

  needsOnlyHead(head: XLogData): boolean {
    return head.dataAt(0) === MESSAGE && !this.#isPublished(head);
  }

  decode(message: XLogData): TransactionEvent | undefined {
    const letter = message.dataAt(0) as Letter;
    switch (letter) {
      case INSERT:
        return this.#decodeInsert(message);
      case UPDATE:
        return this.#decodeUpdate(message);
      case DELETE:
        return this.#decodeDelete(message);
      case BEGIN:
        return this.#decodeBegin(readBody(message));
      case COMMIT:
        return this.#decodeCommit(readBody(message));
      case TRUNCATE:
        return this.#decodeTruncate(readBody(message));
      case MESSAGE:
        return this.#decodeMessage(readBody(message));
      case RELATION:
        this.#relations.readRelation(
          this.#describing(message),
          this.#sequence.xid,
        );
        return undefined;
      case TYPE:
        this.#relations.readType(this.#describing(message));
        return undefined;
      case ORIGIN: {
        const reader = this.#describing(message);
        reader.skip(8);
        reader.string();
        reader.end();
        return undefined;
      }
      default:
        letter satisfies never;
        failAt(message, message.dataStart, "an unknown kind of message");
    }
  }

  /** Messages that only describe come with the LSN 0/0. */
  #describing(message: XLogData): MessageReader {
    return new MessageReader(message, message.dataStart + 1, this.#sequence.commitLsn);
  }

  // Insert: OID, 'N', new tuple.
  #decodeInsert(message: XLogData): TransactionEvent {
    const relation = this.#relation(message);
    const at = message.dataStart + FIRST_ROW;
    if (message.dataAt(FIRST_ROW) !== NEW_ROW) failAt(message, at, "no new row in an insert");
    return this.#row(message, "insert", relation, -1, false, at + 1);
  }

  // Update: OID, perhaps 'K' and the old key or 'O' and the old row, 'N', new tuple.
  #decodeUpdate(message: XLogData): TransactionEvent {
    const relation = this.#relation(message);
    const at = message.dataStart + FIRST_ROW;
    switch (message.dataAt(FIRST_ROW)) {
      case NEW_ROW:
        return this.#row(message, "update", relation, -1, false, at + 1);
      case OLD_KEY:
        return this.#row(message, "update", relation, at + 1, true, -1);
      case OLD_ROW:
        return this.#row(message, "update", relation, at + 1, false, -1);
      default:
        failAt(message, at, "neither an old nor a new row in an update");
    }
  }

  // Delete: OID, 'K' and the old key or 'O' and the old row.
  #decodeDelete(message: XLogData): TransactionEvent {
    const relation = this.#relation(message);
    const at = message.dataStart + FIRST_ROW;
    const letter = message.dataAt(FIRST_ROW);
    if (letter !== OLD_KEY && letter !== OLD_ROW) failAt(message, at, "no old row in a delete");
    return this.#row(message, "delete", relation, at + 1, letter === OLD_KEY, -1);
  }

  #row(
    message: XLogData,
    kind: "insert" | "update" | "delete",
    { relation, xid }: Description,
    oldTuple: number,
    hasOldKeyOnly: boolean,
    newTuple: number,
  ): PgoutputRow {
    const transaction = this.#sequence.current(message);
    const seq = this.#sequence.take(1);
    return new PgoutputRow(
      kind,
      message,
      transaction,
      seq,
      relation,
      oldTuple,
      hasOldKeyOnly,
      newTuple,
      xid,
    );
  }

  #relation(message: XLogData): Description {
    const at = message.dataStart + 1;
    if (message.end < at + 4) failAt(message, at, "the message is cut off");
    const oid = readUint32(message.bytes, at);
    return this.#relations.get(oid, message) ??
      failAt(message, at, `a change of a table that was not described, OID ${oid}`);
  }

  // Begin: LSN of the commit, commit time, xid.
  #decodeBegin(reader: MessageReader): TransactionEvent {
    const commitLsn = reader.uint64();
    const commitTime = reader.int64() + POSTGRES_EPOCH_MICROS;
    const xid = reader.uint32();
    reader.end();
    return this.#sequence.begin(reader.message, { xid, commitLsn, commitTime });
  }

  // Commit: flags (none yet), LSN of the commit, end LSN, commit time.
  #decodeCommit(reader: MessageReader): TransactionEvent {
    if (reader.uint8() !== 0) reader.fail("unknown flags of a commit");
    const commitLsn = reader.uint64();
    if (this.#sequence.current(reader.message).commitLsn !== commitLsn) {
      reader.fail("a commit of another transaction");
    }
    reader.skip(8 + 8);
    reader.end();
    return this.#sequence.commit(reader.message);
  }

  // Truncate: number of tables, flags, OIDs.
  #decodeTruncate(reader: MessageReader): TransactionEvent {
    const { message } = reader;
    const count = reader.uint32();
    const flags = reader.uint8();
    if (flags > (TRUNCATE_CASCADE | TRUNCATE_RESTART_IDENTITY)) {
      reader.fail("unknown flags of TRUNCATE");
    }
    const relations: PgoutputRelation[] = [];
    while (relations.length < count) {
      const oid = reader.uint32();
      const { relation } = this.#relations.get(oid, message) ??
        reader.fail(`a TRUNCATE of a table that was not described, OID ${oid}`);
      relations.push(relation);
    }
    reader.end();
    const transaction = this.#sequence.current(message);
    return {
      kind: "truncate",
      lsn: message.walStart,
      transaction,
      seq: this.#sequence.take(count),
      relations,
      cascade: (flags & TRUNCATE_CASCADE) !== 0,
      restartIdentity: (flags & TRUNCATE_RESTART_IDENTITY) !== 0,
    };
  }

  // Message: flags, LSN, prefix, length, content.
  #decodeMessage(reader: MessageReader): TransactionEvent | undefined {
    const { message } = reader;
    const flags = reader.uint8();
    if (flags > 1) reader.fail("unknown flags of a logical message");
    const transaction = flags === 1 ? this.#sequence.current(message) : undefined;
    const seq = transaction === undefined ? -1 : this.#sequence.take(1);
    reader.skip(8);
    if (!this.#isPublished(message)) return undefined;
    const prefix = reader.string();
    const content = reader.bytes(reader.uint32());
    reader.end();
    return { kind: "message", lsn: message.walStart, transaction, seq, prefix, content };
  }

  /** A prefix that is not UTF-8, which a database in SQL_ASCII may have, is none that was named. */
  #isPublished(message: XLogData): boolean {
    const { data } = message;
    const end = data.indexOf(0, PREFIX);
    if (end === -1 && data.length <= PREFIX + MAX_PREFIX_BYTES) {
      failAt(message, message.dataStart + PREFIX, "a prefix without an end");
    }
    if (end === -1 || end - PREFIX > MAX_PREFIX_BYTES) return false;
    const prefix = decodeUtf8(data, PREFIX, end);
    return prefix !== undefined && this.publishesMessage(prefix, message.length);
  }
}

/** Behind the letter. */
function readBody(message: XLogData): MessageReader {
  return new MessageReader(message, message.dataStart + 1);
}
