import type { Catalog, KnownTable } from "../../src/postgres/known_table.ts";
import type { Row } from "../support/test_postgres.ts";

/** Runs one query in the database. */
export type Query = (text: string) => Promise<Row[]>;

const TABLES = `
  select n.nspname as schema, c.relname as table, c.relreplident as identity,
    (select array_agg(a.attname::text order by k.position)
     from pg_index i, unnest(i.indkey::int[]) with ordinality k (number, position), pg_attribute a
     where i.indrelid = c.oid and i.indisprimary and k.position <= i.indnkeyatts
       and a.attrelid = c.oid and a.attnum = k.number) as key,
    (select array_agg(a.attname::text order by k.position)
     from pg_index i, unnest(i.indkey::int[]) with ordinality k (number, position), pg_attribute a
     where i.indrelid = c.oid and k.position <= i.indnkeyatts
       and a.attrelid = c.oid and a.attnum = k.number and case c.relreplident
         when 'd' then i.indisprimary and i.indimmediate
         when 'i' then i.indisreplident else false end) as identity_columns
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('r', 'p', 'm') and n.nspname not in ('pg_catalog', 'information_schema')`;

const TYPES = `
  select distinct atttypid::bigint::int as oid, atttypmod as typmod,
    format_type(atttypid, atttypmod) as name
  from pg_attribute where atttypid <> 0`;

/** A catalog for tests, read on an ordinary connection; what is gone stays known. */
export class TestCatalog implements Catalog {
  version = 0;
  readonly #present = new Map<string, KnownTable>();
  readonly #keys = new Map<string, (readonly string[])[]>();
  readonly #types = new Map<string, string>();

  constructor(private readonly query: Query) {}

  table(qualifiedName: string): KnownTable | undefined {
    return this.#present.get(qualifiedName);
  }

  tables(): Iterable<KnownTable> {
    return this.#present.values();
  }

  typeName(oid: number, typmod: number): string | undefined {
    return this.#types.get(`${oid} ${typmod}`);
  }

  async refresh(): Promise<void> {
    for (const { schema, table, identity, key, identity_columns } of await this.query(TABLES)) {
      const name = `${schema}.${table}`;
      const present: readonly string[] = key ?? [];
      const earlier = (this.#keys.get(name) ?? [])
        .filter((names) => names.join("\0") !== present.join("\0"));
      const keys = [present, ...earlier];
      this.#keys.set(name, keys);
      this.#present.set(name, {
        schema,
        table,
        keys,
        replicaIdentity: identity,
        identityColumns: identity_columns ?? undefined,
        partitionOf: undefined,
      });
    }
    for (const { oid, typmod, name } of await this.query(TYPES)) {
      this.#types.set(`${oid} ${typmod}`, name);
    }
    this.version++;
  }
}
