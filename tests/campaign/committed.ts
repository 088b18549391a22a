import type { TestPostgres } from "../support/test_postgres.ts";

/** A row's change, or a logical message, that PostgreSQL says was committed. */
export interface CommittedChange {
  /**
   * Names the change: `XID OPERATION TABLE ID`. A transaction changes a row at most once; a TRUNCATE has
   * `*`. A message is `XID message PREFIX CONTENT`, with `-` as its XID outside of transactions.
   */
  readonly name: string;
  /** Table and ID: the row, whose changes have an order; the messages of a prefix have one, too. */
  readonly row: string;
  /** Of the new row, where there is one. */
  readonly version: string | undefined;
  /** Its place among all changes of its transaction, from 0; undefined outside of transactions. */
  readonly seq: number | undefined;
  /** Where its transaction ends: a confirmed LSN of this or more promises that it is stored. */
  readonly endLsn: bigint;
  /** On which its transaction ends. */
  readonly timeline: number;
  /** Whether a failover lost it: the server that goes on does not have it. */
  readonly isLost: boolean;
}

/** Xids come again after a failover that lost some. */
export function nameTransaction(xid: unknown, timeline: number): string {
  return timeline === 1 ? String(xid) : `${timeline}:${xid}`;
}

export interface WhatToRead {
  /** Which logical messages, by their prefix. */
  readonly isPublished: (prefix: string) => boolean;
  /** The timeline on which what ends at an LSN was written. */
  readonly timelineAt: (endLsn: bigint) => number;
}

/**
 * Everything that was committed since the slot `oracle` was made, in commit order, by PostgreSQL's own
 * functions and its own plugin test_decoding: nothing of pg2kinesis takes part.
 */
export async function readCommitted(
  server: Pick<TestPostgres, "sql">,
  database: string,
  oracle: string,
  { isPublished = () => false, timelineAt = () => 1 }: Partial<WhatToRead> = {},
): Promise<CommittedChange[]> {
  const rows = await server.sql(
    `select (lsn - '0/0'::pg_lsn)::text as lsn, data
     from pg_logical_slot_peek_changes('${oracle}', null, null)`,
    { database },
  );
  const committed: CommittedChange[] = [];
  let open: ReturnType<typeof readChange>[] = [];
  let xid = "";
  for (const { lsn, data } of rows as { lsn: string; data: string }[]) {
    // The LSN of a COMMIT is the transaction's end (logical.c, commit_cb_wrapper), that of a message
    // outside of transactions its own.
    const endLsn = BigInt(lsn);
    const commit = (change: ReturnType<typeof readChange>, xid: string, seq?: number) => {
      if (change.prefix !== undefined && !isPublished(change.prefix)) return;
      const { name, row, version } = change;
      const place = { endLsn, timeline: timelineAt(endLsn), isLost: false };
      committed.push({ name: `${xid} ${name}`, row, version, seq, ...place });
    };
    if (data.startsWith("BEGIN ")) {
      xid = data.slice("BEGIN ".length);
    } else if (data.startsWith("COMMIT ")) {
      const transaction = nameTransaction(xid, timelineAt(endLsn));
      open.forEach((change, seq) => commit(change, transaction, seq));
      open = [];
    } else {
      const change = readChange(data);
      if (change.isTransactional) open.push(change);
      else commit(change, "-");
    }
  }
  return committed;
}

/** A line of test_decoding. `prefix`: of a message. */
function readChange(data: string) {
  const message = /^message: transactional: ([01]) prefix: (\S+), sz: \d+ content:(.*)$/s.exec(
    data,
  );
  if (message !== null) {
    const [, flag, prefix = "", content] = message;
    const row = `message ${prefix}`;
    return {
      ...{ name: `${row} ${content}`, row, version: undefined },
      ...{ prefix, isTransactional: flag === "1" },
    };
  }
  const change = /^table (\S+): ([A-Z]+): (.*)$/s.exec(data);
  if (change === null) throw new Error(`test_decoding wrote ${data}`);
  const [, table = "", operation = "", columns = ""] = change;
  const id = /\bid\[integer\]:(\d+)/.exec(columns)?.[1];
  const row = `${table} ${id ?? "*"}`;
  const version = /\bversion\[bigint\]:(\d+)/.exec(columns)?.[1];
  const name = `${operation.toLowerCase()} ${row}`;
  return { name, row, version, prefix: undefined, isTransactional: true };
}
