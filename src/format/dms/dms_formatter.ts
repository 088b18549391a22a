import { systemClock } from "../../base/clock.ts";
import { getLogger } from "@logtape/logtape";
import type { Column, RowChange, Truncate } from "../../decode/event.ts";
import type { Plugin } from "../../decode/plugin.ts";
import type { DmsOptions, PartitionKeyChoice } from "../../options.ts";
import type { Catalog } from "../../postgres/catalog/known_table.ts";
import type { Change, Emit, FormatProblem, Formatter, Unread } from "../formatter.ts";
import { HiddenKeyWarning } from "../hidden_key_warning.ts";
import { oldRowAsSent, rowAfter } from "../json_rows.ts";
import { RelationCache } from "../relation_cache.ts";
import { nothingSent, type RowKey, type RowKeys, sameKey } from "../row_key.ts";
import { EncodedObject, encodedShapes } from "../typed/encoded_object.ts";
import { resolvedType, typeEncodings, UnreadTypeError } from "../typed/type_encodings.ts";
import { Utf8Writer } from "../utf8_writer.ts";
import { DmsKeys } from "./dms_key.ts";
import { controlMetadata, type DataOperation, MetadataWriter } from "./dms_metadata.ts";
import {
  type TableDefinition,
  tableDefinitionJson,
  TableDefinitions,
} from "./table_definitions.ts";
import { dmsEncoder, dmsType, isLob } from "./dms_types.ts";

const logger = getLogger(["pg2kinesis", "format"]);

/**
 * `-f dms`: the records that AWS DMS writes to Kinesis, as `json-unformatted`.
 *
 *     {"data":{"id":17,"total":130.00},"before-image":{"id":17},"metadata":{…}}
 *
 * Before a table's first record, and when its columns changed, comes a control record. An update that changes
 * the key is a delete of the old key and an insert of the new one. docs/dms.md has what differs from DMS.
 *
 * In place of a record that is too large: the key's columns alone, and `"oversize":true` in `metadata`.
 */
export class DmsFormatter implements Formatter {
  readonly #tables: RelationCache<TableState>;
  readonly #keys: DmsKeys;
  readonly #metadata: MetadataWriter;
  readonly #definitions = new TableDefinitions();
  readonly #hiddenKey = new HiddenKeyWarning();
  /** The last change that a control record stands before: it has it again when it is formatted again. */
  #control: { readonly change: RowChange; readonly text: string } | undefined;
  readonly #toldOfTruncate = new Set<string>();
  /** The record that is being written; who is given it copies it. */
  readonly #out = new Utf8Writer();

  constructor(
    private readonly plugin: Plugin,
    private readonly rowKeys: RowKeys,
    partitionKey: PartitionKeyChoice,
    private readonly catalog: Catalog,
    private readonly settings: DmsOptions,
    private readonly now: () => number = systemClock.wall,
  ) {
    const encodingOf = typeEncodings(catalog, (type) => ({
      encoder: dmsEncoder(type, settings.NoHexPrefix),
      // An unchanged value is left out.
      unchanged: undefined,
    }));
    const leave = settings.IncludeNullAndEmpty ? "nothing" : "nulls and empty texts";
    let version = catalog.version;
    let shapes = encodedShapes(encodingOf);
    this.#tables = new RelationCache(catalog, () => {
      // A domain may be another one by now.
      if (version !== catalog.version) {
        version = catalog.version;
        shapes = encodedShapes(encodingOf);
      }
      return {
        data: new EncodedObject(shapes, leave),
        before: new EncodedObject(shapes, leave),
        key: new EncodedObject(shapes),
      };
    });
    this.#keys = new DmsKeys(partitionKey, settings.taskId);
    this.#metadata = new MetadataWriter(settings);
  }

  format(change: Change, emit: Emit): FormatProblem | Unread | undefined {
    return this.#format(change, emit, false);
  }

  formatKeyOnly(change: Change, emit: Emit): FormatProblem | Unread | undefined {
    return this.#format(change, emit, true);
  }

  #format(change: Change, emit: Emit, keyOnly: boolean): FormatProblem | Unread | undefined {
    switch (change.kind) {
      case "insert":
      case "update":
      case "delete":
      case "read":
        this.#metadata.enter(change);
        try {
          return this.#formatRow(change, emit, keyOnly);
        } catch (error) {
          if (!(error instanceof UnreadTypeError)) throw error;
          return { kind: "unread", relation: change.relation };
        }
      case "truncate":
        return this.#leaveOut(change);
      case "message":
      case "backfill":
        return undefined;
      default:
        return change satisfies never;
    }
  }

  #formatRow(change: RowChange, emit: Emit, keyOnly: boolean): FormatProblem | Unread | undefined {
    const found = this.rowKeys.find(change, "new");
    if (found.kind === "unknown-table" || found.kind === "unread") return found;
    // A delete that names no row at all is of no use to anyone.
    if (change.kind === "delete" && change.oldRow === undefined) return nothingSent(change);
    if (found.kind === "key-not-sent") this.#hiddenKey.warn(found);
    const key = found.kind === "key" ? found : undefined;
    const oldKey = key && change.kind === "update" ? this.rowKeys.inOldRow(change, key) : undefined;
    const movedFrom = key && oldKey && !sameKey(key, oldKey) ? oldKey : undefined;
    const control = this.#controlFor(change, found);
    if (movedFrom !== undefined) {
      // What must be read first is to be found out before anything is emitted.
      this.#tables.get(change.relation).data.prepare(change.newRow!);
      this.#write("delete", change, movedFrom, keyOnly);
      this.#emit(emit, change, movedFrom, control);
      // Only now: where the new row is too large, the delete of the old key is given all the same.
      this.#write("insert", change, key, keyOnly);
      this.#emit(emit, change, key, undefined);
    } else {
      this.#write(change.kind === "read" ? "load" : change.kind, change, key, keyOnly);
      this.#emit(emit, change, key, control);
    }
    return undefined;
  }

  #emit(
    emit: Emit,
    change: RowChange,
    key: RowKey | undefined,
    control: string | undefined,
  ): void {
    if (control !== undefined) emit(this.#keys.ofControl(change.relation), control);
    emit(this.#keys.of(change, key).value, this.#out.written);
  }

  #write(
    operation: DataOperation,
    change: RowChange,
    key: RowKey | undefined,
    keyOnly: boolean,
  ): void {
    const out = this.#out;
    const { data, before, key: whole } = this.#tables.get(change.relation);
    out.clear();
    out.text('{"data":');
    const hasKeyOnly = keyOnly || operation === "delete" && !this.settings.IncludeNullAndEmpty;
    // An empty key names a row too.
    if (hasKeyOnly && key !== undefined) whole.write(key.columns, out);
    else if (keyOnly) out.text("{}");
    else if (operation === "delete") data.write(this.#deleted(change, key), out);
    else this.#writeNew(change, data);
    const hasBefore = operation !== "insert" && operation !== "load";
    if (!keyOnly && hasBefore && this.settings.BeforeImage !== "none") {
      out.text(',"before-image":');
      before.write(this.#beforeImage(change, key), out);
    }
    out.text(',"metadata":');
    out.text(this.#metadata.data(operation, change, this.#keys.of(change, key), this.now()));
    out.text((keyOnly ? ',"oversize":true' : "") + "}}\n");
  }

  #writeNew(change: RowChange, data: EncodedObject): void {
    // Where unchanged columns are missing, the old row may have them.
    const mayLack = this.plugin.omitsUnchanged && change.kind === "update";
    const bytes = mayLack ? undefined : change.newBytes?.();
    if (bytes !== undefined) return data.writeBytes(bytes, this.#out);
    data.write(rowAfter(change, this.plugin)!.columns, this.#out);
  }

  /** The key; of a table without one all that was sent. The others as NULL, where the plugin names them. */
  #deleted(change: RowChange, key: RowKey | undefined): readonly Column[] {
    const sent = key?.columns ?? change.oldRow!;
    return change.tableColumns?.map(({ name, type }) =>
      sent.find((column) => column.name === name) ?? { name, type, value: null }
    ) ?? sent;
  }

  /** Of the old row, or where none was sent, since nothing of the identity changed, of the key. */
  #beforeImage(change: RowChange, key: RowKey | undefined): readonly Column[] {
    const keyColumns = key?.columns ?? [];
    if (this.settings.BeforeImage === "pk-only") return keyColumns;
    const row = oldRowAsSent(change, this.plugin, this.catalog) ?? keyColumns;
    if (this.settings.BeforeImage === "all") return row;
    return row.filter(({ type }) => !isLob(dmsType(resolvedType(type, this.catalog))));
  }

  /** The control record that stands before this change; undefined when none is due. */
  #controlFor(change: RowChange, found: RowKey | FormatProblem): string | undefined {
    const last = this.#control;
    if (
      last?.change.transaction === change.transaction && last.change.seq === change.seq
    ) return last.text;
    const columns = this.#wholeRow(change);
    if (columns === undefined) return undefined;
    const { qualifiedName } = change.relation;
    const definition: TableDefinition = {
      columns,
      key: this.#keyNames(change, found, columns),
    };
    const operation = this.#definitions.changeTo(qualifiedName, definition);
    // Before it counts as reported: a type may have to be read first.
    const json = operation &&
      tableDefinitionJson(definition, (type) => resolvedType(type, this.catalog));
    this.#definitions.remember(qualifiedName, definition);
    if (operation === undefined) return undefined;
    const { IncludeControlDetails, IncludeTableAlterOperations } = this.settings;
    if (operation !== "create-table" && !IncludeTableAlterOperations) return undefined;
    const text = `{"control":${IncludeControlDetails ? json : "{}"},"metadata":${
      controlMetadata(operation, change.relation, this.now())
    }}\n`;
    this.#control = { change, text };
    return text;
  }

  /** A change that does not show the key, by its table's replica identity, does not take it away. */
  #keyNames(
    { relation }: RowChange,
    found: RowKey | FormatProblem,
    columns: TableDefinition["columns"],
  ): readonly string[] {
    if (found.kind === "key") return found.columns.map(({ name }) => name);
    if (found.kind !== "key-not-sent") return [];
    const [names = []] = this.catalog.table(relation.qualifiedName)?.keys ?? [];
    return names.every((key) => columns.some(({ name }) => name === key)) ? names : [];
  }

  /** The table's columns, where this change shows them all. */
  #wholeRow(change: RowChange): TableDefinition["columns"] | undefined {
    if (change.tableColumns !== undefined) return change.tableColumns;
    const isWhole = change.kind === "insert" || change.kind === "read" ||
      change.kind === "update" && !this.plugin.omitsUnchanged;
    return isWhole ? change.newBytes?.()?.columns ?? change.newRow : undefined;
  }

  /** DMS has no word for it. */
  #leaveOut({ relations }: Truncate): undefined {
    for (const { qualifiedName } of relations) {
      if (this.#toldOfTruncate.has(qualifiedName)) continue;
      this.#toldOfTruncate.add(qualifiedName);
      logger.warn(
        "a TRUNCATE of {table} is left out, and all others of it: -f dms has no record for it",
        { table: qualifiedName },
      );
    }
  }
}

interface TableState {
  readonly data: EncodedObject;
  readonly before: EncodedObject;
  readonly key: EncodedObject;
}
