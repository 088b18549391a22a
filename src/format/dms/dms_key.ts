import type { Relation, RowChange } from "../../decode/event.ts";
import type { PartitionKeyChoice } from "../../options.ts";
import type { RowKey } from "../row_key.ts";
import type { DmsKey } from "./dms_metadata.ts";

/**
 * Partition keys: `schema.table.<key>`, the values of several columns with dots between them. DMS's own
 * default is the table's name, which keeps a whole table in one shard.
 */
export class DmsKeys {
  constructor(private readonly choice: PartitionKeyChoice, private readonly taskId: string) {}

  of({ relation: { qualifiedName }, transaction }: RowChange, key: RowKey | undefined): DmsKey {
    switch (this.choice.kind) {
      case "pkey":
        if (key === undefined) return { type: "schema-table", value: qualifiedName };
        return { type: "primary-key", value: `${qualifiedName}.${valuesOf(key)}` };
      case "table":
        return { type: "schema-table", value: qualifiedName };
      case "xid":
        return { type: "transaction-id", value: String(transaction.xid) };
      case "fixed":
        return { type: "constant", value: this.choice.text };
      default:
        return this.choice satisfies never;
    }
  }

  /** Under another choice than the default it goes where the table's rows go. */
  ofControl({ qualifiedName }: Relation): string {
    return this.choice.kind === "fixed" ? this.choice.text : `${this.taskId}.${qualifiedName}`;
  }
}

function valuesOf({ columns }: RowKey): string {
  return columns.length === 1
    ? String(columns[0]!.value)
    : columns.map(({ value }) => String(value)).join(".");
}
