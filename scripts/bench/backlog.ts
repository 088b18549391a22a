import type { BenchServer } from "./bench_server.ts";

/** What waits in the slots to be drained. */
export interface Backlog {
  readonly changes: number;
  readonly transactions: number;
  /** Once a slot has confirmed this, it is drained. */
  readonly endLsn: string;
}

export const CHANGES_PER_TRANSACTION = 10;

export async function createTables(server: BenchServer): Promise<void> {
  await server.query(`
    create table orders (id bigint primary key, customer text not null, status text not null,
      total numeric(12,2), paid boolean, placed_at timestamptz, address jsonb, note text);
    create table order_lines (id bigint primary key, order_id bigint not null, article text not null,
      quantity integer, price numeric(10,2), weight double precision, shipped_at timestamptz,
      remark text);
    create table events (id bigint primary key, at timestamptz, kind text, body text);
    create table ticks (id bigint generated always as identity primary key, note text);
    create procedure place_orders(transactions integer) language plpgsql as $$
      declare line bigint;
      begin
        for n in 1 .. transactions loop
          insert into orders values (n, 'customer ' || n % 9973, 'placed', n * 1.07, false,
            now(), jsonb_build_object('street', n || ' Long Road', 'city', 'Springfield'),
            'please leave it at the back door, the bell is broken');
          line := n * 6::bigint;
          insert into order_lines select line + i, n, 'article ' || (line + i) % 7919, i + 1,
            19.99 + i, 0.125 * i, null, 'it''s fragile: handle with care, this side up'
            from generate_series(0, 5) i;
          update order_lines set quantity = quantity + 1 where id = line;
          delete from order_lines where id = line + 1;
          update orders set status = 'paid', paid = true where id = n;
          commit;
        end loop;
      end $$`);
}

/** Many small transactions: 10 changes each, about 250 bytes a change as test_decoding writes them. */
export async function makeSmallTransactions(
  server: BenchServer,
  transactions: number,
): Promise<Backlog> {
  await server.query(`call place_orders(${transactions})`);
  const endLsn = await server.closeBacklog();
  return { changes: transactions * CHANGES_PER_TRANSACTION, transactions, endLsn };
}

/** One transaction of very many rows. */
export async function makeOneTransaction(server: BenchServer, rows: number): Promise<Backlog> {
  await server.query(`insert into events select i, now(), 'kind ' || i % 100,
    'an event with a body of a usual length, number ' || i from generate_series(1, ${rows}) i`);
  const endLsn = await server.closeBacklog();
  return { changes: rows, transactions: 1, endLsn };
}
