import type { Connection } from "../connection/connection.ts";
import { DOMAINS_QUERY, TYPES_QUERY, WANTED_TYPES_QUERY } from "./catalog_queries.ts";

/**
 * That were asked for and are not known, until the next reading. One table has 1,600 columns at most, and
 * all of its types must be read at once.
 */
const MAX_WANTED = 5000;
/** Names with a modifier, such as `varchar(20)`; what is forgotten is asked for again. */
const MAX_WITH_MODIFIER = 50_000;

/**
 * The names of types as `format_type` prints them. Those without a modifier are read beforehand, up to a
 * limit; all others when a change has them: a database may have millions.
 */
export class TypeNames {
  readonly #bare: Map<number, string> = new Map();
  /** By OID and modifier. */
  readonly #others: Map<string, string> = new Map();
  /** Names of types to their base types; null for those that are no domains. */
  readonly #domains: Map<string, string | null> = new Map();
  /** Names that are not known to be of a domain or of none. */
  readonly #unread: Set<string> = new Set();
  readonly #wanted: Map<string, readonly [oid: number, typmod: number]> = new Map();

  /** One that is not known is asked for by the next reading: old WAL may have types no table has now. */
  get(oid: number, typmod: number): string | undefined {
    const key = `${oid} ${typmod}`;
    const name = (typmod === -1 ? this.#bare.get(oid) : undefined) ?? this.#others.get(key);
    if (name === undefined && this.#wanted.size < MAX_WANTED) this.#wanted.set(key, [oid, typmod]);
    return name;
  }

  /** As {@linkcode Catalog.domainBase} says. */
  domainBase(type: string): string | null | undefined {
    const base = this.#domains.get(type);
    if (base === undefined && this.#unread.size < MAX_WANTED) this.#unread.add(type);
    return base;
  }

  /** Whether anybody asks for domains. */
  get hasDomains(): boolean {
    return this.#domains.size > 0 || this.hasUnread;
  }

  /** Whether a name was asked for of which nothing is known. */
  get hasUnread(): boolean {
    return this.#unread.size > 0;
  }

  /**
   * Reads which types are domains. What was asked for and is none is known as such then; what is gone stays
   * known.
   */
  async readDomains(connection: Connection): Promise<void> {
    const asked = [...this.#unread];
    const rows = await connection.query("read the catalog's domains", DOMAINS_QUERY);
    if (this.#domains.size > MAX_WITH_MODIFIER) this.#domains.clear();
    for (const name of this.#bare.values()) {
      if (!this.#domains.has(name)) this.#domains.set(name, null);
    }
    for (const { name, base } of rows) this.#domains.set(name!, base!);
    for (const name of asked) {
      this.#unread.delete(name);
      if (!this.#domains.has(name)) this.#domains.set(name, null);
    }
  }

  /** Reads the types without modifiers. What is gone stays known. */
  async readBare(connection: Connection): Promise<void> {
    for (const { oid, name } of await connection.query("read the catalog's types", TYPES_QUERY)) {
      this.#bare.set(Number(oid), name!);
    }
  }

  /** Reads those that were asked for, as far as they exist. */
  async readWanted(connection: Connection): Promise<void> {
    const wanted = [...this.#wanted.values()];
    if (wanted.length === 0) return;
    const rows = await connection.query("read types from the catalog", WANTED_TYPES_QUERY, [
      wanted.map(([oid]) => oid),
      wanted.map(([, typmod]) => typmod),
    ]);
    // What was wanted in the meantime is asked for the next time.
    for (const [oid, typmod] of wanted) this.#wanted.delete(`${oid} ${typmod}`);
    if (this.#others.size + rows.length > MAX_WITH_MODIFIER) this.#others.clear();
    for (const { oid, typmod, name } of rows) this.#others.set(`${oid} ${typmod}`, name!);
  }
}
