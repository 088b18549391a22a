import type { TransactionInfo } from "./decode/event.ts";
import type { RecordTarget } from "./base/record_writer.ts";
import type { Change, PublishedTransaction } from "./format/formatter.ts";

/** Counts what is published of the present transaction, for the record at its end. */
export class TransactionTotals {
  #transaction: TransactionInfo | undefined;
  #seq = 0;
  #changes = 0;
  #messages = 0;
  readonly #tables = new Map<string, number>();
  readonly #targets = new Set<RecordTarget>();

  /** A change of it was received, and may have no records. */
  receive({ transaction, seq, ...change }: Change): void {
    if (transaction === undefined) return;
    if (transaction !== this.#transaction) this.#begin(transaction);
    const last = change.kind === "truncate" ? seq + change.relations.length - 1 : seq;
    this.#seq = last + 1;
  }

  /** A record of the change is on its way to `target`: to be called before it is handed over. */
  enter({ kind, transaction }: Change, target: RecordTarget): void {
    // What a backfill read is no change of the transaction at whose place it stands.
    if (transaction === undefined || kind === "read" || kind === "backfill") return;
    if (this.#targets.has(target)) return;
    this.#targets.add(target);
    target.noteShards();
  }

  /** The change has a record that the stream took. */
  publish(change: Change): void {
    if (change.transaction === undefined) return;
    const names = change.kind === "message"
      ? []
      : change.kind === "truncate"
      ? change.relations.map(({ qualifiedName }) => qualifiedName)
      : [change.relation.qualifiedName];
    for (const name of names) this.#tables.set(name, (this.#tables.get(name) ?? 0) + 1);
    if (change.kind === "message") this.#messages++;
    this.#changes += change.kind === "message" ? 1 : names.length;
  }

  /** Undefined: nothing of it was published. */
  get published(): PublishedTransaction | undefined {
    if (this.#changes === 0) return undefined;
    let shards = 0;
    for (const target of this.#targets) shards += target.notedShards;
    return {
      seq: this.#seq,
      changes: this.#changes,
      messages: this.#messages,
      tables: this.#tables,
      shards,
      streams: this.#targets.size,
    };
  }

  /** The streams that have some of it. */
  get targets(): Iterable<RecordTarget> {
    return this.#targets;
  }

  /** The transaction ended. */
  clear(): void {
    this.#transaction = undefined;
    this.#seq = 0;
    this.#changes = 0;
    this.#messages = 0;
    this.#tables.clear();
    this.#targets.clear();
  }

  #begin(transaction: TransactionInfo): void {
    this.clear();
    this.#transaction = transaction;
  }
}
