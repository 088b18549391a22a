import { assertEquals } from "@std/assert";
import { systemClock } from "../src/base/clock.ts";
import type { RecordTarget } from "../src/base/record_writer.ts";
import { createFormatter } from "../src/format/formats.ts";
import type { Change } from "../src/format/formatter.ts";
import type { PolicyOptions } from "../src/options.ts";
import { Publisher } from "../src/publisher.ts";
import { Progress } from "../src/run_progress.ts";
import { CountingTicket } from "./support/counting_ticket.ts";
import {
  MadeUpCatalog,
  message,
  OPTIONS,
  row,
  TRANSACTION,
  truncate,
} from "./support/made_up_changes.ts";
import { holdToSchema } from "./support/valid_json.ts";

// deno-lint-ignore no-explicit-any -- of our JSON format
type Json = any;

/** A stream of four shards, of which a partition key's first character names one. */
class MadeUpStream implements RecordTarget {
  readonly stored: { readonly record: Json; readonly route: string | undefined }[] = [];
  maxRecordBytes = 1000;
  #noted = new Set<string>();

  add(key: string, data: string | Uint8Array, _ticket: unknown, route?: string): number {
    if (data.length > this.maxRecordBytes) return data.length;
    const text = typeof data === "string" ? data : new TextDecoder().decode(data);
    holdToSchema(text);
    this.stored.push({ record: JSON.parse(text), route });
    if (route === undefined) this.#noted.add(key.at(-1)!);
    return 0;
  }

  noteShards(): void {
    this.#noted.clear();
  }

  get notedShards(): number {
    return this.#noted.size;
  }

  get commits(): Json[] {
    return this.stored.filter(({ record }) => record.op === "commit").map(({ record, route }) => {
      assertEquals(route, "noted shards");
      return record;
    });
  }
}

async function publisherOf(onOversize = "skip") {
  const catalog = new MadeUpCatalog({ "public.a": {}, "public.b": {} });
  const [a, b] = [new MadeUpStream(), new MadeUpStream()];
  const targetOf = (change: Change) =>
    change.kind === "message" || change.kind !== "truncate" && change.relation.table === "b" ||
      change.kind === "truncate" && change.relations[0]!.table === "b"
      ? b
      : a;
  const publisher = new Publisher({
    formatter: await createFormatter(
      { ...OPTIONS, formatter: "JSON", operations: new Set(["insert", "update", "truncate"]) },
      "pgoutput",
      catalog,
    ),
    writer: { targetOf },
    ...{ catalog, progress: new Progress(), isWanted: () => true, clock: systemClock },
    policy: { onOversize } as unknown as PolicyOptions & { onOversize: "skip" },
    marksCommits: true,
  });
  const ticket = new CountingTicket();
  return {
    ...{ a, b },
    publish: (...changes: Change[]) =>
      changes.forEach((change) => publisher.publish(change, ticket)),
    commit: (transaction = TRANSACTION) =>
      publisher.commit(
        { kind: "commit", transaction, endLsn: 0x16B3900n, commitTime: transaction.commitTime },
        ticket,
      ),
  };
}

const insert = (table: string, id: number, seq: number, note = "", transaction = TRANSACTION) =>
  row("insert", {
    table,
    seq,
    transaction,
    newRow: [["id", "integer", String(id)], ["note", "text", note]],
  });

Deno.test("--transaction-records: behind a transaction each of its streams has what lies where", async () => {
  const { a, b, publish, commit } = await publisherOf();
  publish(insert("public.a", 1, 0), insert("public.a", 2, 1), insert("public.b", 1, 2));
  // A filter leaves this one out, and it has a place all the same.
  publish({ ...insert("public.a", 3, 3), kind: "delete" });
  commit();
  const expected = {
    v: 1,
    op: "commit",
    xid: 731,
    lsn: "0/16B3900",
    commit_lsn: "0/16B3800",
    seq: 4,
    timeline: 1,
    ts: "2026-11-22T08:01:02.123456Z",
    changes: 3,
    tables: { "public.a": 2, "public.b": 1 },
    shards: 3,
    streams: 2,
  };
  assertEquals([a.commits, b.commits], [[expected], [expected]]);
  assertEquals(a.stored.at(-1)!.record.op, "commit");
});

Deno.test("--transaction-records: the next transaction begins from nothing, and one without changes has no record", async () => {
  const { a, b, publish, commit } = await publisherOf();
  publish(insert("public.a", 1, 0));
  commit();
  const next = { ...TRANSACTION, xid: 732 };
  publish({ ...insert("public.a", 3, 0, "", next), kind: "delete" });
  commit(next);
  const last = { ...TRANSACTION, xid: 733 };
  publish(insert("public.b", 5, 0, "", last));
  commit(last);
  assertEquals(
    [...a.commits, ...b.commits].map((
      { xid, changes, shards, streams },
    ) => [xid, changes, shards, streams]),
    [
      [731, 1, 1, 1],
      [733, 1, 1, 1],
    ],
  );
});

Deno.test("--transaction-records: truncates count by table, messages for themselves, what was skipped not at all", async () => {
  const { a, b, publish, commit } = await publisherOf();
  publish(truncate(["public.a", "public.b"]), message("app.x"));
  publish(insert("public.a", 1, 3, "x".repeat(2_000)));
  // Outside of any transaction.
  publish({ ...message("app.x"), transaction: undefined, seq: -1 } as Change);
  commit();
  const [commitOfA] = a.commits;
  assertEquals(
    [commitOfA.changes, commitOfA.tables, commitOfA.messages, commitOfA.seq, commitOfA.streams],
    [3, { "public.a": 1, "public.b": 1 }, 1, 4, 2],
  );
  assertEquals(b.commits, [commitOfA]);
});
