import { columnBudget } from "../decode/column_budget.ts";
import type { Relation } from "../decode/event.ts";
import type { Catalog } from "../postgres/catalog/known_table.ts";

/** An endless series of new partitions must not fill the memory; what is forgotten is derived again. */
const MAX_TABLES = 20_000;

/**
 * Keeps what was derived from a table until the catalog is read again, or too many columns are remembered. Changes come in runs of one
 * table, and decoders give the same object for the same table, so mostly this is one comparison.
 */
export class RelationCache<T> {
  #version = -1;
  #epoch = -1;
  #lastRelation: Relation | undefined;
  #lastValue: T | undefined;
  #values = new WeakMap<Relation, T>();
  #count = 0;

  constructor(
    private readonly catalog: Catalog,
    private readonly derive: (relation: Relation) => T,
  ) {}

  get(relation: Relation): T {
    const version = this.catalog.version;
    const isFresh = version === this.#version && columnBudget.epoch === this.#epoch;
    if (relation === this.#lastRelation && isFresh) return this.#lastValue as T;
    if (!isFresh) {
      this.#version = version;
      this.#epoch = columnBudget.epoch;
      this.#forget();
    }
    let value = this.#values.get(relation);
    if (value === undefined) {
      if (this.#count === MAX_TABLES) this.#forget();
      value = this.derive(relation);
      this.#values.set(relation, value);
      this.#count++;
    }
    this.#lastRelation = relation;
    this.#lastValue = value;
    return value;
  }

  #forget(): void {
    this.#values = new WeakMap();
    this.#count = 0;
  }
}
