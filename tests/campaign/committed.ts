import type { TestPostgres } from "../support/test_postgres.ts";

/** A row's change that PostgreSQL says was committed. */
export interface CommittedChange {
  /** Names the change: `XID OPERATION TABLE ID`; a transaction changes a row at most once, a TRUNCATE has `*`. */
  readonly name: string;
  /** Table and ID: the row, whose changes have an order. */
  readonly row: string;
  /** Of the new row, where there is one. */
  readonly version: string | undefined;
  /** Where its transaction ends: a confirmed LSN of this or more promises that it is stored. */
  readonly endLsn: bigint;
}

/**
 * Everything that was committed since the slot `oracle` was made, in commit order, by PostgreSQL's own
 * functions and its own plugin test_decoding: nothing of pg2kinesis takes part.
 */
export async function readCommitted(
  server: TestPostgres,
  database: string,
  oracle: string,
): Promise<CommittedChange[]> {
  const rows = await server.sql(
    `select (lsn - '0/0'::pg_lsn)::text as lsn, data
     from pg_logical_slot_peek_changes('${oracle}', null, null)`,
    { database },
  );
  const committed: CommittedChange[] = [];
  let open: Omit<CommittedChange, "endLsn">[] = [];
  let xid = "";
  for (const { lsn, data } of rows as { lsn: string; data: string }[]) {
    if (data.startsWith("BEGIN ")) {
      xid = data.slice("BEGIN ".length);
    } else if (data.startsWith("COMMIT ")) {
      // The LSN of a COMMIT is the transaction's end (logical.c, commit_cb_wrapper).
      committed.push(...open.map((change) => ({ ...change, endLsn: BigInt(lsn) })));
      open = [];
    } else {
      const match = /^table (\S+): ([A-Z]+): (.*)$/s.exec(data);
      if (match === null) throw new Error(`test_decoding wrote ${data}`);
      const [, table = "", operation = "", columns = ""] = match;
      const id = /\bid\[integer\]:(\d+)/.exec(columns)?.[1];
      const row = `${table} ${id ?? "*"}`;
      const version = /\bversion\[bigint\]:(\d+)/.exec(columns)?.[1];
      open.push({ name: `${xid} ${operation.toLowerCase()} ${row}`, row, version });
    }
  }
  return committed;
}
