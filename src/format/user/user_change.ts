import {
  type BackfillEnd,
  type Column,
  type LogicalMessage,
  type Relation,
  type RowChange,
  type TransactionInfo,
  type Truncate,
  UNCHANGED,
} from "../../decode/event.ts";
import { formatLsn } from "../../base/lsn.ts";
import type { RowKey } from "../row_key.ts";
import { formatMicroseconds } from "../time_text.ts";
import type {
  UserBackfillEnd,
  UserColumn,
  UserMessage,
  UserRowChange,
  UserTransaction,
  UserTruncate,
} from "./user_formatter.ts";

/** A row as a user's formatter sees it; what it does not look at is not decoded. */
export class RowForUser implements UserRowChange {
  #newRow: readonly UserColumn[] | undefined;
  #oldRow: readonly UserColumn[] | undefined;

  constructor(
    private readonly change: RowChange,
    private readonly rowKey: RowKey | undefined,
    readonly partitionKey: string,
    readonly oversize: boolean,
  ) {}

  get kind(): "insert" | "update" | "delete" | "read" {
    return this.change.kind;
  }

  get schema(): string {
    return this.change.relation.schema;
  }

  get table(): string {
    return this.change.relation.table;
  }

  get lsn(): string {
    return formatLsn(this.change.lsn);
  }

  get seq(): number {
    return this.change.seq;
  }

  get key(): readonly UserColumn[] | undefined {
    return this.rowKey?.columns.map(columnForUser);
  }

  get newRow(): readonly UserColumn[] | undefined {
    return this.#newRow ??= this.change.newRow?.map(columnForUser);
  }

  get oldRow(): readonly UserColumn[] | undefined {
    return this.#oldRow ??= this.change.oldRow?.map(columnForUser);
  }

  /** Getters are not a class's own properties: without this `JSON.stringify` would lose them. */
  toJSON(): UserRowChange {
    const { kind, schema, table, lsn, seq, partitionKey, key, newRow, oldRow, oversize } = this;
    return { kind, schema, table, lsn, seq, partitionKey, key, newRow, oldRow, oversize };
  }
}

function columnForUser({ name, type, value }: Column): UserColumn {
  return { name, type, value: value === UNCHANGED ? undefined : value };
}

export function truncateForUser(
  change: Truncate,
  relation: Relation,
  seq: number,
  partitionKey: string,
): UserTruncate {
  const { cascade, restartIdentity } = change;
  const { schema, table } = relation;
  const lsn = formatLsn(change.lsn);
  return { kind: "truncate", lsn, seq, partitionKey, schema, table, cascade, restartIdentity };
}

export function backfillEndForUser(change: BackfillEnd, partitionKey: string): UserBackfillEnd {
  const { seq, request, rows, complete } = change;
  const { schema, table } = change.relation;
  const lsn = formatLsn(change.lsn);
  return { kind: "backfill", lsn, seq, partitionKey, schema, table, request, rows, complete };
}

export function messageForUser(
  change: LogicalMessage,
  partitionKey: string,
  oversize: boolean,
): UserMessage {
  const { seq, prefix } = change;
  // A copy: the original lies in a buffer of the connection, which a module could keep or write to.
  const content = oversize ? new Uint8Array() : change.content.slice();
  const lsn = formatLsn(change.lsn);
  return { kind: "message", lsn, seq, partitionKey, prefix, content, oversize };
}

export function transactionForUser(transaction: TransactionInfo): UserTransaction {
  const { xid, timeline, commitLsn, commitTime } = transaction;
  return {
    xid,
    timeline,
    commitLsn: commitLsn === undefined ? undefined : formatLsn(commitLsn),
    commitTime: commitTime === undefined ? undefined : formatMicroseconds(commitTime),
  };
}
