// @ts-check
/**
 * An example of your own formatter:
 *
 *     pg2kinesis --message-formatter ./my_format.js …
 *
 * The function is called for every change, in commit order, after the filters. It returns nothing (the
 * change is skipped), one record or an array of records. A record is text, bytes (Uint8Array) or
 * { data, partitionKey }. The function must be synchronous (no promise). An exception stops the run before
 * the change, so that none is lost.
 *
 * src/format/user/user_formatter.ts describes the arguments. Values are PostgreSQL's own text:
 * Number(value) of a bigint or numeric may lose digits.
 *
 * @typedef {import("../../src/format/user/user_formatter.ts").UserChange} UserChange
 * @typedef {import("../../src/format/user/user_formatter.ts").UserColumn} UserColumn
 */

/** @type {import("../../src/format/user/user_formatter.ts").UserFormatter} */
export default function format(change, transaction) {
  switch (change.kind) {
    case "insert":
    case "update":
    case "delete":
    case "read": { // a row that a backfill read: an insert that may come twice
      if (change.table === "scratch") return; // skipped

      const line = JSON.stringify({
        id: `${transaction?.xid}/${change.seq}`,
        time: transaction?.commitTime, // unknown with test_decoding
        what: `${change.schema}.${change.table} ${change.kind}`,
        key: object(change.key),
        // With --on-oversize key-only, a row that was too large is passed again with only its key.
        row: change.oversize ? undefined : object(change.newRow),
      });

      // Every change uses the key from --partition-key; payments also go to a partition of their own.
      if (change.table !== "payments") return line;
      return [line, { partitionKey: "audit", data: line }];
    }
    case "truncate": // one call per table; without its own partition key it goes to every shard
      return JSON.stringify({ what: `${change.schema}.${change.table} truncate` });
    case "backfill": // the rows of a table have been read; it goes to every shard
      return JSON.stringify({
        what: `${change.schema}.${change.table} backfill`,
        complete: change.complete,
      });
    case "message": // pg_logical_emit_message, with a prefix that --message-prefix selects
      return change.content;
  }
}

/**
 * Columns as an object. A TOASTed value that was not sent is undefined, which JSON omits.
 *
 * @param {readonly UserColumn[] | undefined} columns
 */
function object(columns) {
  return columns && Object.fromEntries(columns.map(({ name, value }) => [name, value]));
}
