import type { StoredStream } from "../../tests/support/read_back.ts";

/** One change of a row, reduced to what tells it from every other one of that row. */
export interface RowChange {
  /** `public.orders:3,1`: the table and the key's values. */
  readonly row: string;
  /** `insert`, `update` or `delete`, with transaction and version: `update 731 57`. */
  readonly change: string;
}

export interface Comparison {
  readonly committed: number;
  readonly transactions: number;
  readonly published: number;
  readonly rows: number;
  readonly missing: number;
  /** Published more often than committed, or never committed at all. */
  readonly surplus: number;
  /** Rows whose changes a consumer sees in another order than they were committed in. */
  readonly rowsOutOfOrder: readonly string[];
  /** Shards whose records are not in commit order. */
  readonly shardsOutOfOrder: readonly string[];
}

/**
 * Reads what PostgreSQL itself says was committed, in commit order: the text of its plugin
 * test_decoding from a second slot. The demo's tables hold nothing that would need its full grammar.
 */
export function parseCommitted(lines: readonly { xid: string; data: string }[]): RowChange[] {
  const changes: RowChange[] = [];
  for (const { xid, data } of lines) {
    const head = /^table (public\.\w+): (INSERT|UPDATE|DELETE): /.exec(data);
    if (head === null) continue;
    const value = (column: string) =>
      new RegExp(`(?:^|[ ])${column}\\[\\w+\\]:(\\d+)`).exec(data)?.[1];
    const key = head[1] === "public.orders"
      ? `${value("customer")},${value("number")}`
      : `${value("id")}`;
    const kind = head[2]!.toLowerCase();
    changes.push({
      row: `${head[1]}:${key}`,
      change: `${kind} ${xid} ${kind === "delete" ? "" : value("version")}`.trim(),
    });
  }
  return changes;
}

/** Reads one published record: `0,CDC,{"xid":731,"change":{…}}`. */
export function parsePublished(text: string): RowChange {
  const prefix = "0,CDC,";
  if (!text.startsWith(prefix)) throw new SyntaxError(`not a change record: ${text}`);
  const { xid, change } = JSON.parse(text.slice(prefix.length));
  const after = columns(change.columnnames, change.columnvalues);
  const before = columns(change.oldkeys?.keynames, change.oldkeys?.keyvalues);
  const row = change.kind === "delete" ? before : after;
  const key = change.table === "orders" ? `${row.customer},${row.number}` : `${row.id}`;
  return {
    row: `${change.schema}.${change.table}:${key}`,
    change: `${change.kind} ${xid} ${after.version ?? ""}`.trim(),
  };
}

/** Compares what was committed with what a consumer of the stream reads. */
export function compare(committed: readonly RowChange[], stream: StoredStream): Comparison {
  const positions = new Map<string, number>();
  committed.forEach(({ row, change }, position) => positions.set(`${row} ${change}`, position));
  if (positions.size !== committed.length) throw new Error("a row has the same change twice");

  const seen = new Set<number>();
  const rowsOutOfOrder = new Set<string>();
  const shardsOutOfOrder = new Set<string>();
  const lastOfRow = new Map<string, number>();
  const lastOfShard = new Map<string, number>();
  let surplus = 0;
  for (const record of stream.records) {
    const { row, change } = parsePublished(record.text);
    const position = positions.get(`${row} ${change}`);
    if (position === undefined || seen.has(position)) {
      surplus++;
      continue;
    }
    seen.add(position);
    if (position < (lastOfRow.get(row) ?? -1)) rowsOutOfOrder.add(row);
    if (position < (lastOfShard.get(record.shardId) ?? -1)) shardsOutOfOrder.add(record.shardId);
    lastOfRow.set(row, position);
    lastOfShard.set(record.shardId, position);
  }
  return {
    committed: committed.length,
    transactions: new Set(committed.map(({ change }) => change.split(" ")[1])).size,
    published: stream.records.length,
    rows: new Set(committed.map(({ row }) => row)).size,
    missing: committed.length - seen.size,
    surplus,
    rowsOutOfOrder: [...rowsOutOfOrder],
    shardsOutOfOrder: [...shardsOutOfOrder],
  };
}

export function isAllWell(comparison: Comparison): boolean {
  return comparison.committed > 0 && comparison.missing === 0 && comparison.surplus === 0 &&
    comparison.rowsOutOfOrder.length === 0 && comparison.shardsOutOfOrder.length === 0;
}

/** The demo's last line. */
export function describeComparison(comparison: Comparison): string {
  const { committed, transactions, published, rows, missing, surplus } = comparison;
  const found = [
    missing === 0 ? "" : `${missing} MISSING`,
    surplus === 0 ? "" : `${surplus} SURPLUS`,
    orderOf("row", comparison.rowsOutOfOrder),
    orderOf("shard", comparison.shardsOutOfOrder),
  ].filter((text) => text !== "");
  const verdict = found.length === 0
    ? `all ${rows} rows in the order of their commits: OK`
    : `${found.join(", ")}: NOT OK`;
  return `committed ${committed} changes in ${transactions} transactions, published ${published}: ${verdict}`;
}

function orderOf(what: string, names: readonly string[]): string {
  if (names.length === 0) return "";
  return `${names.length} ${what}s OUT OF ORDER (${names.slice(0, 3).join(" ")})`;
}

function columns(
  names: string[] | undefined,
  values: unknown[] | undefined,
): Record<string, unknown> {
  return Object.fromEntries((names ?? []).map((name, index) => [name, values?.[index]]));
}
