import type { TransactionInfo } from "../decode/event.ts";
import type { PartitionKeyChoice } from "../options.ts";

/**
 * Gives the partition key of a record: by `--partition-key`, of a table's name (or `message:` and a
 * logical message's prefix), its transaction, and the text of the row's key where it has one.
 */
export type PartitionKeyOf = (
  qualifiedName: string,
  transaction: TransactionInfo | undefined,
  keyText: string | undefined,
) => string;

export function choosePartitionKey(choice: PartitionKeyChoice): PartitionKeyOf {
  switch (choice.kind) {
    case "pkey":
      return (name, _transaction, keyText) => keyText === undefined ? name : name + ":" + keyText;
    case "table":
      return (name) => name;
    case "xid":
      return (name, transaction) => transaction === undefined ? name : String(transaction.xid);
    case "fixed":
      return () => choice.text;
    default:
      return choice satisfies never;
  }
}

/** What stands in a partition key for the table, where a logical message has none. */
export function messageName(prefix: string): string {
  return "message:" + prefix;
}
