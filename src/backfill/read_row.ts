import { TooLargeError } from "../base/errors.ts";
import type { Lsn } from "../base/lsn.ts";
import {
  type Column,
  type Relation,
  type RowChange,
  type TransactionInfo,
  UNCHANGED,
} from "../decode/event.ts";
import { PLUGINS } from "../decode/plugins.ts";
import type { OutputPlugin } from "../options.ts";
import { keyText } from "./changed_keys.ts";
import type { ReadColumn, ReadPlan } from "./read_plan.ts";
import type { RowTexts } from "./read_sql.ts";

/** What a row takes in memory beside its texts, and each value of it. */
const ROW_BYTES = 96;
const VALUE_BYTES = 40;

/** One row as the server's texts. */
export class ReadRow {
  /** Of its key, as changes tell it. */
  readonly key: string;
  /** In the order of the plan's columns; a column that is excluded is null. */
  readonly values: readonly (string | null)[];
  /** Of its key, in the order by which it is read. */
  readonly keyValues: readonly string[];
  /** Whether a row filter of a publication lets it pass. */
  readonly passes: boolean;

  constructor(
    readonly plan: ReadPlan,
    texts: RowTexts,
    plugin: OutputPlugin,
    /** Of a row that is too large, of which the key alone was read. */
    private readonly largeBytes?: number,
  ) {
    const { columns } = plan;
    this.values = texts.columns;
    this.keyValues = texts.keyValues;
    this.passes = texts.passes;
    this.key = keyText(plan.key.map(({ name }, index) => {
      const column = columns.find((each) => each.name === name);
      const text = texts.key[index]!;
      return column === undefined ? text : shownValue(text, column, plugin);
    }));
  }

  column(index: number, plugin: OutputPlugin): Column {
    const column = this.plan.columns[index]!;
    const { largeBytes } = this;
    if (largeBytes !== undefined && !this.plan.key.some(({ name }) => name === column.name)) {
      return new LargeColumn(column, largeBytes);
    }
    const value = this.values[index]!;
    return {
      name: column.name,
      type: column.shownType,
      value: value === null ? null : shownValue(value, column, plugin),
    };
  }

  columns(plugin: OutputPlugin): Column[] {
    return this.plan.columns.map((_, index) => this.column(index, plugin));
  }

  find(name: string, plugin: OutputPlugin): Column | undefined {
    const index = this.plan.columns.findIndex((column) => column.name === name);
    return index === -1 ? undefined : this.column(index, plugin);
  }
}

/** Of a row that is too large: whoever asks for its value has to do without. */
class LargeColumn implements Column {
  readonly name: string;
  readonly type: string;

  constructor({ name, shownType }: ReadColumn, private readonly bytes: number) {
    this.name = name;
    this.type = shownType;
  }

  get value(): never {
    throw new TooLargeError(this.bytes);
  }
}

/** Of one row that is kept. */
export function bytesOf(values: readonly (string | null)[]): number {
  let bytes = ROW_BYTES + values.length * VALUE_BYTES;
  for (const value of values) bytes += value?.length ?? 0;
  return bytes;
}

/** A value's text as decoders give it. */
function shownValue(value: string, column: ReadColumn, plugin: OutputPlugin): string | null {
  if (column.isBoolean) return value === "t" ? "true" : "false";
  if (PLUGINS[plugin].printsNaNAsNull && column.isFloating && /^(NaN|-?Infinity)$/.test(value)) {
    return null;
  }
  return value;
}

/** A row that was read, at its place among the changes: that of the mark that ended the read. */
export class ReadChange implements RowChange {
  readonly kind = "read";
  readonly definedBy: number;
  readonly oldRow = undefined;
  #newRow: readonly Column[] | undefined;

  constructor(
    private readonly row: ReadRow,
    private readonly plugin: OutputPlugin,
    readonly request: string,
    readonly lsn: Lsn,
    readonly transaction: TransactionInfo,
    readonly seq: number,
  ) {
    this.definedBy = transaction.xid;
  }

  get relation(): Relation {
    return this.row.plan.relation;
  }

  get keyNames(): readonly string[] | undefined {
    return this.row.plan.primaryKey;
  }

  get newRow(): readonly Column[] {
    return this.#newRow ??= this.row.columns(this.plugin);
  }

  newColumn(name: string): Column | undefined {
    return this.newRow.find((column) => column.name === name);
  }

  oldColumn(): undefined {
    return undefined;
  }
}

/** An update whose values that were left in TOAST are taken from the row before it. */
export class FilledChange implements RowChange {
  readonly kind;
  readonly lsn;
  readonly transaction;
  readonly seq;
  readonly relation;
  readonly definedBy;
  readonly newRow: readonly Column[];

  constructor(private readonly change: RowChange, before: ReadRow, plugin: OutputPlugin) {
    this.kind = change.kind;
    this.lsn = change.lsn;
    this.transaction = change.transaction;
    this.seq = change.seq;
    this.relation = change.relation;
    this.definedBy = change.definedBy;
    const sent = change.newRow!;
    const filled = sent.map((column) =>
      column.value === UNCHANGED ? before.find(column.name, plugin) ?? column : column
    );
    const names = new Set(sent.map(({ name }) => name));
    // In table order where all of them are known.
    const lacking = before.columns(plugin).filter(({ name }) => !names.has(name));
    const order = before.plan.columns.map(({ name }) => name);
    this.newRow = lacking.length === 0
      ? filled
      : [...filled, ...lacking].sort((left, right) =>
        order.indexOf(left.name) - order.indexOf(right.name)
      );
  }

  get keyNames(): readonly string[] | undefined {
    return this.change.keyNames;
  }

  get oldRow(): readonly Column[] | undefined {
    return this.change.oldRow;
  }

  newColumn(name: string): Column | undefined {
    return this.newRow.find((column) => column.name === name);
  }

  oldColumn(name: string): Column | undefined {
    return this.change.oldColumn(name);
  }
}

/** Whether a change leaves out values of its new row that its old row does not have either. */
export function lacksValues(
  change: RowChange,
  plugin: OutputPlugin,
  columns: readonly string[] | undefined,
): boolean {
  if (change.kind === "delete") return false;
  if (!PLUGINS[plugin].omitsUnchanged) {
    return change.newRow!.some(({ name, value }) =>
      value === UNCHANGED && typeof change.oldColumn(name)?.value !== "string"
    );
  }
  // Nothing tells what was left out.
  if (change.kind === "insert") return false;
  return columns === undefined ||
    columns.some((name) =>
      change.newColumn(name) === undefined && change.oldColumn(name) === undefined
    );
}
