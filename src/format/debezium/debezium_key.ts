import type { LogicalMessage, Relation, RowChange, TransactionInfo } from "../../decode/event.ts";
import type { PartitionKeyChoice } from "../../options.ts";
import { choosePartitionKey, messageName, type PartitionKeyOf } from "../partition_key.ts";
import { keyText, type RowKey } from "../row_key.ts";
import type { EncodingOf } from "../typed/encoded_object.ts";
import type { ValueEncoder } from "../typed/encoder.ts";

/**
 * Gives the partition keys of Debezium Server's Kinesis sink: the JSON of the primary key, in key order,
 * each value as in the row. Under a `--partition-key` other than `pkey` that one counts.
 */
export class KeyWriter {
  readonly #other: PartitionKeyOf | undefined;
  /** Of the last key's columns: names as JSON, and how their values are written. */
  #parts: readonly KeyPart[] = [];

  constructor(
    choice: PartitionKeyChoice,
    private readonly encodingOf: EncodingOf,
    private readonly nullKey: string | undefined,
  ) {
    this.#other = choice.kind === "pkey" ? undefined : choosePartitionKey(choice);
  }

  of({ relation, transaction }: RowChange, key: RowKey | undefined): string {
    if (this.#other !== undefined) {
      const text = key === undefined ? undefined : keyText(key);
      return this.#other(relation.qualifiedName, transaction, text);
    }
    return key === undefined ? this.nullKey ?? relation.qualifiedName : this.#json(key);
  }

  ofTable({ qualifiedName }: Relation, transaction: TransactionInfo): string {
    return this.#other?.(qualifiedName, transaction, undefined) ?? this.nullKey ?? qualifiedName;
  }

  ofMessage({ prefix, transaction }: LogicalMessage): string {
    return this.#other?.(messageName(prefix), transaction, undefined) ??
      `{"prefix":${JSON.stringify(prefix)}}`;
  }

  /** A type may be another one by now. */
  forget(): void {
    this.#parts = [];
  }

  #json({ columns }: RowKey): string {
    let text = "";
    const parts = this.#partsOf(columns);
    for (let i = 0; i < columns.length; i++) {
      const { value } = columns[i]!;
      const { name, encoder } = parts[i]!;
      text += (i === 0 ? "{" : ",") + name +
        (typeof value === "string" ? encoder.json(value) : "null");
    }
    return text + "}";
  }

  #partsOf(columns: RowKey["columns"]): readonly KeyPart[] {
    return this.#fits(columns) ? this.#parts : this.#parts = columns.map(({ name, type }) => ({
      column: name,
      type,
      name: JSON.stringify(name) + ":",
      encoder: this.encodingOf(type).encoder,
    }));
  }

  #fits(columns: RowKey["columns"]): boolean {
    const parts = this.#parts;
    if (columns.length !== parts.length) return false;
    for (let i = 0; i < parts.length; i++) {
      const { name, type } = columns[i]!;
      if (parts[i]!.column !== name || parts[i]!.type !== type) return false;
    }
    return true;
  }
}

interface KeyPart {
  readonly column: string;
  readonly type: string;
  readonly name: string;
  readonly encoder: ValueEncoder;
}
