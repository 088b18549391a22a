import type { Relation, RowChange, TransactionInfo, Truncate } from "../decode/event.ts";
import type { Plugin } from "../decode/plugin.ts";
import type { Catalog } from "../postgres/catalog/known_table.ts";
import { classOfType } from "./column_type.ts";
import type { Change, Emit, FormatProblem, Formatter, Unread } from "./formatter.ts";
import type { PartitionKeyOf } from "./partition_key.ts";
import { RelationCache } from "./relation_cache.ts";
import { keyText, type RowKey, type RowKeys } from "./row_key.ts";

/**
 * The original's two formats of the primary key alone, as pg2kinesis 0.7.0 wrote them:
 *
 *     CSV         0,CDC,<xid>,<schema.table>,<operation>,<key>
 *     CSVPayload  0,CDC,{"xid":…,"table":"schema.table","operation":"INSERT","pkey":"…"}
 *
 * With test_decoding the original passed on the plugin's capitals and the xid as text, and found the
 * old key of an update first; with wal2json it had small letters, a number and the new key. pgoutput,
 * which it did not know, is like test_decoding. Logical messages have no place in either format; a row
 * that a backfill read is an insert.
 */
export class KeyFormatter implements Formatter {
  readonly #prefer: "old" | "new";
  readonly #tables: RelationCache<TableParts>;
  readonly #pythonTexts: boolean;
  #transaction: TransactionInfo | undefined;
  #head = "";

  constructor(
    private readonly syntax: KeySyntax,
    private readonly plugin: Plugin,
    private readonly keys: RowKeys,
    private readonly partitionKey: PartitionKeyOf,
    catalog: Catalog,
  ) {
    this.#prefer = plugin.wasParsedAsJson ? "new" : "old";
    this.#pythonTexts = plugin.wasParsedAsJson;
    this.#tables = new RelationCache(catalog, (relation) => this.#tableParts(relation));
  }

  format(change: Change, emit: Emit): FormatProblem | Unread | undefined {
    switch (change.kind) {
      case "insert":
      case "update":
      case "delete":
      case "read":
        return this.#formatRow(change, emit);
      case "truncate":
        return this.#formatTruncate(change, emit);
      case "message":
      case "backfill":
        return undefined;
      default:
        return change satisfies never;
    }
  }

  /** The key is all there is. */
  formatKeyOnly(change: Change, emit: Emit): FormatProblem | Unread | undefined {
    return this.format(change, emit);
  }

  #formatRow(change: RowChange, emit: Emit): FormatProblem | Unread | undefined {
    const key = this.keys.find(change, this.#prefer);
    if (key.kind !== "key") return key;
    const { relation, transaction } = change;
    const text = keyText(key);
    const published = this.#pythonTexts ? pythonText(key, text) : text;
    emit(
      this.partitionKey(relation.qualifiedName, transaction, text),
      this.#headOf(transaction) +
        this.#tables.get(relation)[change.kind === "read" ? "insert" : change.kind] +
        this.syntax.key(published),
    );
    return undefined;
  }

  #formatTruncate(change: Truncate, emit: Emit): undefined {
    const { transaction } = change;
    for (const relation of change.relations) {
      emit(
        this.partitionKey(relation.qualifiedName, transaction, undefined),
        this.#headOf(transaction) + this.#tables.get(relation).truncate + this.syntax.noKey,
        "every shard",
      );
    }
  }

  #headOf(transaction: TransactionInfo): string {
    if (transaction !== this.#transaction) {
      this.#transaction = transaction;
      this.#head = this.syntax.head(transaction.xid, this.plugin);
    }
    return this.#head;
  }

  #tableParts({ qualifiedName }: Relation): TableParts {
    const part = (operation: string) =>
      this.syntax.table(
        qualifiedName,
        this.plugin.wasParsedAsJson ? operation : operation.toUpperCase(),
      );
    return {
      insert: part("insert"),
      update: part("update"),
      delete: part("delete"),
      truncate: part("truncate"),
    };
  }
}

/** What stands between the xid and the key, for each operation. */
type TableParts = Readonly<Record<"insert" | "update" | "delete" | "truncate", string>>;

/** How a format writes its three parts, which are put one after the other. */
export interface KeySyntax {
  head(xid: number, plugin: Plugin): string;
  table(qualifiedName: string, operation: string): string;
  key(text: string): string;
  readonly noKey: string;
}

export const CSV: KeySyntax = {
  head: (xid) => `0,CDC,${xid},`,
  table: (qualifiedName, operation) => `${csvName(qualifiedName)},${operation},`,
  key: csvField,
  noKey: "",
};

export const CSV_PAYLOAD: KeySyntax = {
  head: (xid, plugin) => `0,CDC,{"xid":${plugin.wasParsedAsJson ? xid : `"${xid}"`},`,
  table: (qualifiedName, operation) =>
    `"table":${JSON.stringify(qualifiedName)},"operation":"${operation}","pkey":`,
  key: (text) => JSON.stringify(text) + "}",
  noKey: "null}",
};

/** Quotes as RFC 4180 says, only where it is needed. */
function csvField(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/**
 * A table's name stays as the original wrote it, a quote within it too, unless a reader would then
 * take it for something else.
 */
function csvName(name: string): string {
  return /^"|[,\r\n]/.test(name) ? `"${name.replaceAll('"', '""')}"` : name;
}

/**
 * The original printed what Python's `json.loads` made of wal2json's format 1 with `str()`, where
 * booleans are `True` and `False`, null (a NaN as a key) is `None`, and a bytea has no `\x`. Numbers
 * keep all their digits, unlike there. Keys of several columns, at which the original stopped, are
 * the same with all plugins.
 */
function pythonText(key: RowKey, text: string): string {
  if (key.columns.length > 1) return text;
  const { type, value } = key.columns[0]!;
  if (value === null) return "None";
  switch (classOfType(type)) {
    case "boolean":
      return text === "true" ? "True" : "False";
    case "bytea":
      return text.slice(2);
    default:
      return text;
  }
}
