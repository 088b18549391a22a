// @ts-check
/**
 * An example of a formatter of your own:
 *
 *     pg2kinesis --message-formatter ./my_format.js …
 *
 * The function is called for every change, in commit order, after the filters. It returns nothing (the
 * change is left out), one record or an array of records; a record is text, bytes (Uint8Array) or
 * { data, partitionKey }. It must answer at once (no promise), and what it throws stops the run before
 * the change, so that none is lost.
 *
 * What it is given is described in src/format/user_formatter.ts. Values are PostgreSQL's own text:
 * Number(value) of a bigint or numeric may lose digits.
 *
 * @typedef {import("../../src/format/user_formatter.ts").UserChange} UserChange
 * @typedef {import("../../src/format/user_formatter.ts").UserColumn} UserColumn
 */

/** @type {import("../../src/format/user_formatter.ts").UserFormatter} */
export default function format(change, transaction) {
  switch (change.kind) {
    case "insert":
    case "update":
    case "delete": {
      if (change.table === "scratch") return; // left out

      const line = JSON.stringify({
        id: `${transaction?.xid}/${change.seq}`,
        time: transaction?.commitTime, // not known with test_decoding
        what: `${change.schema}.${change.table} ${change.kind}`,
        key: object(change.key),
        // With --on-oversize key-only a row that was too large comes again with its key alone.
        row: change.oversize ? undefined : object(change.newRow),
      });

      // Every change goes where --partition-key says, payments also to a partition of their own.
      if (change.table !== "payments") return line;
      return [line, { partitionKey: "audit", data: line }];
    }
    case "truncate": // one call for each table; without a partition key of its own it goes to every shard
      return JSON.stringify({ what: `${change.schema}.${change.table} truncate` });
    case "message": // pg_logical_emit_message, with a prefix that --message-prefix names
      return change.content;
  }
}

/**
 * Columns as an object; a TOASTed value that was not sent is undefined, which JSON leaves out.
 *
 * @param {readonly UserColumn[] | undefined} columns
 */
function object(columns) {
  return columns && Object.fromEntries(columns.map(({ name, value }) => [name, value]));
}
