import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { stripVTControlCharacters } from "node:util";
import type { RowChange, TransactionInfo } from "../../decode/event.ts";
import { RunError, TooLargeError } from "../../base/errors.ts";
import { formatLsn } from "../../base/lsn.ts";
import { whyUnreadable } from "../../base/why_unreadable.ts";
import type { Change, Emit, FormatProblem, Formatter, Unread } from "../formatter.ts";
import { isModulePath } from "./module_path.ts";
import { messageName, type PartitionKeyOf } from "../partition_key.ts";
import { keyText, type RowKeys } from "../row_key.ts";
import { RowView } from "../row_view.ts";
import {
  backfillEndForUser,
  messageForUser,
  RowForUser,
  transactionForUser,
  truncateForUser,
} from "./user_change.ts";
import type { UserChange, UserFormatter, UserTransaction } from "./user_formatter.ts";

/**
 * Loads the module of `--message-formatter` from disk, also from within the compiled executable, which
 * can load JavaScript only. Throws a RunError that names the module.
 */
export async function loadUserFormatter(path: string): Promise<UserFormatter> {
  const url = pathToFileURL(resolve(path)).href;
  if (!isModulePath(path)) {
    throw new RunError(
      `cannot load the formatter ${path}: a formatter is an ES module in JavaScript, and its name ` +
        "ends in .js or .mjs",
    );
  }
  const failed = (what: string, cause: unknown) =>
    new RunError(`cannot load the formatter ${path}: ${what}`, { cause });
  await Deno.readFile(resolve(path)).catch((error) => {
    throw failed(whyUnreadable(error), error);
  });
  const module: { default?: unknown } = await import(url).catch((error) => {
    throw failed(oneLine(error), error);
  });
  const formatter = module.default;
  if (typeof formatter !== "function") {
    throw new RunError(
      `cannot use the formatter ${path}: its default export must be a function (change, ` +
        `transaction) => records, found ${nameOfType(formatter)}`,
    );
  }
  return formatter as UserFormatter;
}

/** Lets a user's function make the records. */
export class UserModuleFormatter implements Formatter {
  #transaction: TransactionInfo | undefined;
  #userTransaction: UserTransaction | undefined;

  constructor(
    private readonly path: string,
    private readonly formatter: UserFormatter,
    private readonly keys: RowKeys,
    private readonly partitionKey: PartitionKeyOf,
  ) {}

  format(change: Change, emit: Emit): FormatProblem | Unread | undefined {
    return this.#format(change, emit, false);
  }

  formatKeyOnly(change: Change, emit: Emit): FormatProblem | Unread | undefined {
    return this.#format(change, emit, true);
  }

  #format(change: Change, emit: Emit, keyOnly: boolean): FormatProblem | Unread | undefined {
    const { transaction } = change;
    switch (change.kind) {
      case "insert":
      case "update":
      case "delete":
      case "read":
        return this.#formatRow(change, emit, keyOnly);
      case "truncate":
        change.relations.forEach((relation, index) => {
          const key = this.partitionKey(relation.qualifiedName, transaction, undefined);
          const forUser = truncateForUser(change, relation, change.seq + index, key);
          this.#call(forUser, change, emit, "every shard");
        });
        return undefined;
      case "message": {
        const key = this.partitionKey(messageName(change.prefix), transaction, undefined);
        this.#call(messageForUser(change, key, keyOnly), change, emit, undefined);
        return undefined;
      }
      case "backfill": {
        const key = this.partitionKey(change.relation.qualifiedName, transaction, undefined);
        this.#call(backfillEndForUser(change, key), change, emit, "every shard");
        return undefined;
      }
      default:
        return change satisfies never;
    }
  }

  #formatRow(change: RowChange, emit: Emit, keyOnly: boolean): FormatProblem | Unread | undefined {
    const key = this.keys.find(change, "new");
    if (key.kind === "unknown-table" || key.kind === "unread") return key;
    const rowKey = key.kind === "key" ? key : undefined;
    const text = rowKey && keyText(rowKey);
    const partitionKey = this.partitionKey(
      change.relation.qualifiedName,
      change.transaction,
      text,
    );
    const names = new Set(rowKey?.columns.map(({ name }) => name));
    const shown = keyOnly
      ? new RowView(change, (column) => names.has(column.name) ? column : undefined)
      : change;
    this.#call(new RowForUser(shown, rowKey, partitionKey, keyOnly), change, emit, undefined);
    return undefined;
  }

  #call(forUser: UserChange, change: Change, emit: Emit, route: "every shard" | undefined): void {
    let result: unknown;
    try {
      result = this.formatter(forUser, this.#transactionOf(change.transaction));
    } catch (error) {
      if (error instanceof TooLargeError) throw error;
      throw this.#failure(forUser, change, `failed: ${oneLine(error)}`, error);
    }
    if (result === undefined || result === null) return;
    const records = Array.isArray(result) ? result : [result];
    // Looked at whole before the first is emitted.
    for (const record of records) {
      const fault = faultOf(record);
      if (fault !== undefined) {
        // A rejection nobody waits for would end the process with an error of its own.
        if (record instanceof Promise) record.catch(() => {});
        throw this.#failure(forUser, change, fault);
      }
    }
    for (const record of records) {
      if (typeof record === "string" || record instanceof Uint8Array) {
        emit(forUser.partitionKey, record, route);
      } else if (record.partitionKey === undefined) {
        emit(forUser.partitionKey, record.data, route);
      } else {
        emit(record.partitionKey, record.data);
      }
    }
  }

  #transactionOf(transaction: TransactionInfo | undefined): UserTransaction | undefined {
    if (transaction !== this.#transaction) {
      this.#transaction = transaction;
      this.#userTransaction = transaction && transactionForUser(transaction);
    }
    return this.#userTransaction;
  }

  #failure(forUser: UserChange, change: Change, what: string, cause?: unknown): RunError {
    const target = forUser.kind === "message"
      ? `the logical message "${forUser.prefix}"`
      : `the ${forUser.kind} of ${forUser.schema}.${forUser.table}`;
    const transaction = change.transaction === undefined
      ? ""
      : ` (xid ${change.transaction.xid}, change ${forUser.seq})`;
    return new RunError(
      `the formatter ${this.path}, given ${target} at LSN ${
        formatLsn(change.lsn)
      }${transaction}, ` +
        what,
      { cause },
    );
  }
}

/** What is wrong with a record that a module returned; undefined when nothing is. */
function faultOf(record: unknown): string | undefined {
  if (isData(record)) return undefined;
  if (record instanceof Promise) return "returned a promise; it must be synchronous";
  if (typeof record !== "object" || record === null) {
    return `returned ${nameOfType(record)}; a record is text, bytes or { data, partitionKey }`;
  }
  const { data, partitionKey } = record as { data?: unknown; partitionKey?: unknown };
  if (!isData(data)) {
    return `returned a record whose data is ${nameOfType(data)}; it must be text or bytes`;
  }
  if (partitionKey === undefined) return undefined;
  if (typeof partitionKey !== "string" || partitionKey === "") {
    return "returned a record whose partitionKey is " +
      (partitionKey === "" ? "empty" : nameOfType(partitionKey)) +
      "; it must be a text of 1 to 256 characters";
  }
  return undefined;
}

function isData(value: unknown): value is string | Uint8Array {
  return typeof value === "string" || value instanceof Uint8Array;
}

function nameOfType(value: unknown): string {
  if (value === undefined) return "nothing";
  if (value === null) return "null";
  if (Array.isArray(value)) return "an array";
  return { string: "text", object: "an object", function: "a function" }[typeof value as string] ??
    `a ${typeof value}`;
}

/** No place in it is the user's to mend. */
const OUR_SOURCE = ["src/", "main.ts"].map((path) =>
  new URL(`../../../${path}`, import.meta.url).href
);

/** The error and where it happened, on one line. */
function oneLine(error: unknown): string {
  if (!(error instanceof Error)) return `it threw ${Deno.inspect(error, { breakLength: 1e9 })}`;
  // Deno colors the message of an import that fails, also where nobody can see colors.
  const plain = stripVTControlCharacters;
  const place = plain(error.stack ?? "").match(/file:\/\/.*?:\d+:\d+/g)
    ?.find((each) => !OUR_SOURCE.some((ours) => each.startsWith(ours)));
  const text = plain(`${error.name}: ${error.message}`).replace(/\s*\n\s*/g, " ");
  return text + (place === undefined || text.includes(place) ? "" : ` (${place})`);
}
