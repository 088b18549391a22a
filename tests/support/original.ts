import type { Row } from "./test_postgres.ts";

/**
 * What handshake/pg2kinesis 0.7.0 published for the messages of its slot: its rules for single keys of
 * word characters, the input that it handles. Kept apart from the code under test.
 */
export interface OriginalChange {
  readonly xid: string | number;
  readonly table: string;
  readonly operation: string;
  readonly pkey: string;
}

/** Messages of test_decoding, one a row, as `pg_logical_slot_get_changes` gives them. */
export function originalFromTestDecoding(
  messages: readonly Row[],
  keyColumns: Readonly<Record<string, string>>,
): OriginalChange[] {
  const changes: OriginalChange[] = [];
  let xid = "";
  for (const { data } of messages) {
    const [first, second, third] = (data as string).split(" ", 3) as [string, string, string];
    if (first === "BEGIN") xid = second;
    if (first !== "table") continue;
    const table = second.slice(0, -1);
    const rest = (data as string).slice(`${first} ${second} ${third} `.length);
    const pkey = new RegExp(`${keyColumns[table]}\\[[^\\]]*\\]:'?([\\w\\-]+)'?`).exec(rest)![1]!;
    changes.push({ xid, table, operation: third.slice(0, -1), pkey });
  }
  return changes;
}

/** Messages of wal2json format version 1 with `include-xids`, a transaction each; no deletes. */
export function originalFromWal2json(
  messages: readonly Row[],
  keyColumns: Readonly<Record<string, string>>,
): OriginalChange[] {
  return messages.flatMap(({ data }) => {
    const { xid, change } = JSON.parse(data);
    return change.map((row: Row) => {
      const table = `${row.schema}.${row.table}`;
      const pkey = String(row.columnvalues[row.columnnames.indexOf(keyColumns[table])]);
      return { xid, table, operation: row.kind, pkey };
    });
  });
}

export function originalCsv(change: OriginalChange): string {
  return `0,CDC,${change.xid},${change.table},${change.operation},${change.pkey}`;
}
