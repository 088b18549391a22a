import { assert, assertEquals } from "@std/assert";
import { readRecords } from "../fixtures/debezium/read.ts";
import { SETUP, STATEMENTS } from "../fixtures/debezium/scenario.ts";
import { Follower } from "../support/all_plugins.ts";
import { ask, ended } from "../support/backfilled.ts";
import { differences, parseExactly, type Written } from "../support/debezium_records.ts";
import { startEmbeddedPostgres } from "../support/embedded_postgres.ts";
import { startKinesalite } from "../support/kinesalite.ts";
import { freshDatabase } from "../support/shared_postgres.ts";

/** What a row that was read has otherwise; all of it stands in docs/debezium.md, as it does for changes. */
const DIFFERENCES: readonly (readonly [where: RegExp, why: string])[] = [
  [/^r .* source\.(?:db|ts_ms|ts_us|ts_ns|lsn|txId|sequence)$/, "another run"],
  [/^r .* source\.snapshot$/, "ours is a Debezium's incremental snapshot"],
  [/^r public\.by_default after\.d$/, "a NULL becomes the column's DEFAULT"],
  [/^r public\.numbers after\.n3$/, "a negative scale is misread"],
  [/^r public\.texts after\.nm$/, "a name is null"],
  [/^r public\.times after\.tt$/, "24:00 becomes 00:00"],
  [
    /^r public\.time_limits after\.(?:ts|d)$/,
    "a timestamp overflows, an infinite date becomes a day",
  ],
  [/^r public\.arrays after\.i$/, "the elements of a second dimension are null"],
  [/^r public\.left_out after\.\w+$/, "types that it leaves out"],
];
/** Made up by the server anew each time. */
const RANDOM = /^public\.toasts |^shop\.orders \{"id":3/;

/** By table and key, the newest row that there was. */
function newestRows(records: readonly Written[]): Map<string, Written> {
  const rows = new Map<string, Written>();
  for (const { key, value } of records) {
    if (value?.source === undefined || key === null) continue;
    const { op, source: { schema, table } } = value;
    const place = `${schema}.${table} ${key}`;
    if (op === "t") {
      for (const other of rows.keys()) {
        if (other.startsWith(`${schema}.${table} `)) rows.delete(other);
      }
    } else if (op === "d") rows.delete(place);
    else if (op !== "m" && !RANDOM.test(place)) {
      rows.set(place, { what: `r ${schema}.${table}`, key, value: { ...value, op: "r" } });
    }
  }
  return rows;
}

Deno.test("-f debezium: the rows that a backfill reads are those that Debezium wrote, field by field", async () => {
  await using server = await startEmbeddedPostgres({ settings: { timezone: "UTC" } });
  await using kinesis = await startKinesalite();
  await using db = await freshDatabase(server);
  await db.sql(SETUP);
  await db.sql("alter publication everything rename to published");
  for (const sql of STATEMENTS) await db.sql(sql);
  await using follower = await Follower.create("pgoutput", db, kinesis);
  const flags = ["-f", "debezium", "--debezium-name", "app", "--debezium-decimals", "string"];
  await follower.start([...flags, "--log-level", "debug"]);
  await ask(follower.db, ["*"], "all");
  await ended(follower, "all");
  await follower.catchUp();
  assertEquals(await follower.program.stop(), 0, follower.program.stderr);

  const written = (key: string | null, text: string | null): Written => ({
    ...{ what: "", key, value: text === null || text === "" ? null : parseExactly(text) },
  });
  const ours = newestRows(
    (await follower.records()).map(({ partitionKey, text }) => written(partitionKey, text)),
  );
  const theirs = newestRows([
    // Those of its own snapshot, and changes.
    ...(await readRecords("precise")).filter(([, , text]) => text?.includes('"op":"r"')),
    ...await readRecords("string"),
  ].map(([, key, text]) => written(key, text)));
  const found = new Set<string>();
  let compared = 0;
  for (const [place, row] of ours) {
    const other = theirs.get(place);
    // What it cannot give a key, or does not survive.
    if (other === undefined) continue;
    compared++;
    const isSnapshot = other.value.source.snapshot !== "false";
    if (!isSnapshot) assertEquals(row.value.source.snapshot, "incremental");
    for (const where of differences(other, row)) {
      if (isSnapshot && where.endsWith("after.total")) continue;
      if (isSnapshot || !where.includes("before")) found.add(where);
    }
  }
  assert(compared > 50, `${compared} rows`);
  for (const where of found) {
    assert(DIFFERENCES.some(([listed]) => listed.test(where)), `${where} differs`);
  }
  for (const [listed, why] of DIFFERENCES) {
    assert([...found].some((where) => listed.test(where)), `no difference any more: ${why}`);
  }
});
