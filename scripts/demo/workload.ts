// @ts-types="@types/pg"
import type pg from "pg";
import type { TestPostgres } from "../../tests/support/test_postgres.ts";

export const WORKLOAD_TABLES = `
  create table customers (id integer primary key, name text not null, version bigint not null);
  create table orders (
    customer integer, number integer, item text, version bigint not null,
    primary key (customer, number));
  create sequence versions;`;

const CONNECTIONS = 6;
const TRANSACTIONS_EACH = 50;
/** Few rows, so that the connections keep changing the same ones. */
const CUSTOMERS = 12;
const ORDERS_EACH = 3;
const ITEMS = ["tea", "coffee", 'a "good" book', "crème brûlée", "nuts, bolts", "東京", "it's"];

/**
 * Several connections insert, update and delete the same few rows at the same time, in transactions
 * of one to eight statements. A tenth are rolled back, and of another tenth a savepoint.
 */
export async function runWorkload(server: TestPostgres, database: string): Promise<void> {
  await Promise.all(
    Array.from({ length: CONNECTIONS }, async () => {
      const client = await server.connect({ database });
      try {
        for (let i = 0; i < TRANSACTIONS_EACH; i++) await runTransaction(client);
      } finally {
        await client.end();
      }
    }),
  );
}

async function runTransaction(client: pg.Client): Promise<void> {
  // Rows are locked in the same order by everyone, so that nobody waits in a circle.
  const picked = new Set(Array.from({ length: 1 + random(3) }, () => random(CUSTOMERS)));
  const customers = [...picked].sort((a, b) => a - b);
  await client.query("begin");
  for (const customer of customers) await changeCustomer(client, customer);
  const fate = random(10);
  if (fate === 0) {
    await client.query("rollback");
    return;
  }
  if (fate === 1) {
    await client.query("savepoint s");
    await client.query(
      "update customers set name = 'never seen', version = nextval('versions') where id = $1",
      [customers.at(-1)],
    );
    await client.query("rollback to savepoint s");
  }
  await client.query("commit");
}

async function changeCustomer(client: pg.Client, customer: number): Promise<void> {
  await client.query(
    `insert into customers values ($1, $2, nextval('versions'))
     on conflict (id) do update set name = excluded.name, version = excluded.version`,
    [customer, `customer ${customer}, ${pick(ITEMS)}`],
  );
  const number = random(ORDERS_EACH);
  if (random(4) === 0) {
    await client.query("delete from orders where customer = $1 and number = $2", [
      customer,
      number,
    ]);
    return;
  }
  await client.query(
    `insert into orders values ($1, $2, $3, nextval('versions'))
     on conflict (customer, number) do update set item = excluded.item, version = excluded.version`,
    [customer, number, pick(ITEMS)],
  );
}

function random(below: number): number {
  return Math.floor(Math.random() * below);
}

function pick<T>(list: readonly T[]): T {
  return list[random(list.length)]!;
}
