import type { Relation } from "../decode/event.ts";
import type { Catalog } from "../postgres/known_table.ts";

/**
 * Keeps what was derived from a table until the catalog is read again. Changes come in runs of one
 * table, and decoders give the same object for the same table, so mostly this is one comparison.
 */
export class RelationCache<T> {
  #version = -1;
  #lastRelation: Relation | undefined;
  #lastValue: T | undefined;
  #values = new WeakMap<Relation, T>();

  constructor(
    private readonly catalog: Catalog,
    private readonly derive: (relation: Relation) => T,
  ) {}

  get(relation: Relation): T {
    const version = this.catalog.version;
    if (relation === this.#lastRelation && version === this.#version) return this.#lastValue as T;
    if (version !== this.#version) {
      this.#version = version;
      this.#values = new WeakMap();
    }
    let value = this.#values.get(relation);
    if (value === undefined) {
      value = this.derive(relation);
      this.#values.set(relation, value);
    }
    this.#lastRelation = relation;
    this.#lastValue = value;
    return value;
  }
}
