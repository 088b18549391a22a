import { assert, assertEquals } from "@std/assert";
import { parseLsn } from "../../src/base/lsn.ts";
import { OUTPUT_PLUGINS, type OutputPlugin } from "../../src/options.ts";
import { PREPARE, SCENARIO } from "../fixtures/scenario.ts";
import {
  hasWal2json,
  NO_DEBIAN_POSTGRES,
  startDebianPostgres,
} from "../support/debian_postgres.ts";
import type { Row } from "../support/test_postgres.ts";
import { type Oracle, type Published, type Step, withOracle } from "./formats_oracle.ts";

const ignore = !hasWal2json();
if (ignore) console.warn(NO_DEBIAN_POSTGRES);
const server = ignore ? undefined : await startDebianPostgres();

const options = { formatter: "JSON" };
const SCENARIO_SETUP = {
  prepare: PREPARE,
  publications: "strict_tables,loose_tables",
  options,
};
const SETUP = {
  prepare: "create publication everything for all tables",
  publications: "everything",
  options,
};

function steps(...statements: string[]): Step[] {
  return statements.map((sql) => ({ session: "a", sql }));
}

/** Fields of all records of a plugin. */
function fields(oracle: Oracle, plugin: OutputPlugin, ...names: string[]): unknown[][] {
  return oracle.published[plugin].map(({ data }) => names.map((name) => data[name]));
}

/** The scenario's tables that a plugin does not tell all of. */
const PARTLY_TOLD = ["no_key", "nothing", "generated", "summary"];

/** What all plugins tell alike. */
function shared({ key, data }: Published): Row {
  // commit_lsn and ts: not with test_decoding. before: with test_decoding without its NULLs.
  // unchanged: not with wal2json. seq: fewer changes are published to pgoutput.
  const { commit_lsn: _, ts: __, before: ___, unchanged: ____, seq: _____, ...rest } =
    structuredClone(data);
  return { partitionKey: key, ...rest };
}

Deno.test(
  "JSON of the scenario is the same from all plugins, in what all of them tell",
  { ignore },
  async () => {
    await withOracle(server!, SCENARIO_SETUP, async (oracle, sessions) => {
      oracle.mayHide = ({ kind, table }) =>
        kind === "key-not-sent" && ["loose.no_key", "loose.nothing"].includes(table);
      await oracle.run(SCENARIO, sessions);
      const comparable = (plugin: OutputPlugin) =>
        oracle.published[plugin].filter(({ data }) =>
          !PARTLY_TOLD.includes(data.table) &&
          // pgoutput tells of the partitions alone.
          !(data.op === "truncate" && data.table === "measured")
        );
      const [first, ...others] = OUTPUT_PLUGINS;
      const expected = comparable(first!);
      assert(expected.length > 200, `only ${expected.length} records`);
      for (const plugin of others) {
        const records = comparable(plugin);
        expected.forEach((record, i) => {
          const ours = shared(records[i]!), theirs = shared(record);
          if (plugin === "wal2json") {
            replaceSpecialNumbers(theirs);
            // A zero byte ends the content.
            for (const row of theirs.prefix === "binary" ? [ours, theirs] : []) {
              delete row.content;
              delete row.encoding;
            }
          }
          assertEquals(ours, theirs, `${plugin}, record ${i}`);
        });
        assertEquals(records.length, expected.length, plugin);
      }
      console.log(`${expected.length} records are equal`);
    });
  },
);

/** wal2json prints NaN and the infinities as null. */
function replaceSpecialNumbers(record: Row): void {
  const numeric = ["numbers", "every_key_type"].includes(record.table);
  for (const part of ["key", "after", "moved_to", "moved_from"]) {
    const row = record[part];
    for (const [name, value] of Object.entries(row ?? {})) {
      if (numeric && /^(NaN|-?Infinity)$/.test(String(value))) row[name] = null;
    }
  }
  record.partitionKey = record.partitionKey.replace('"NaN"', "null");
}

Deno.test("JSON's (commit_lsn, seq) grows along every partition key", { ignore }, async () => {
  await withOracle(server!, SCENARIO_SETUP, async (oracle, sessions) => {
    oracle.mayHide = ({ kind, table }) =>
      kind === "key-not-sent" && ["loose.no_key", "loose.nothing"].includes(table);
    await oracle.run(SCENARIO, sessions);
    for (const plugin of ["wal2json", "pgoutput"] as const) checkGrowth(oracle.published[plugin]);
  });
});

Deno.test("JSON is the same when a slot is read again", { ignore }, async () => {
  await withOracle(server!, SETUP, async (oracle, sessions) => {
    await oracle.run(steps("create table t (id int primary key, v text)"), sessions);
    for (
      const sql of [
        "begin; insert into t select n from generate_series(1, 5) n; update t set v = 'a'; commit",
        "begin; update t set id = id + 10; select pg_logical_emit_message(true, 'p', 'c'); commit",
        "begin; delete from t where id = 11; truncate t; commit",
      ]
    ) await sessions.a.query(sql);
    await oracle.drain(OUTPUT_PLUGINS, "peek");
    const first = structuredClone(oracle.published);
    await oracle.drain();
    for (const plugin of OUTPUT_PLUGINS) {
      assertEquals(first[plugin].length, 5 + 5 + 10 + 1 + 1 + 1, plugin);
      assertEquals(oracle.published[plugin].slice(first[plugin].length), first[plugin], plugin);
    }
    assertEquals(
      fields(oracle, "pgoutput", "commit_lsn", "seq", "timeline", "ts", "xid"),
      fields(oracle, "wal2json", "commit_lsn", "seq", "timeline", "ts", "xid"),
    );
    assertEquals(fields(oracle, "test_decoding", "seq"), fields(oracle, "pgoutput", "seq"));
  });
});

Deno.test(
  "JSON names unchanged TOAST columns: with test_decoding and pgoutput always, with wal2json under FULL",
  { ignore },
  async () => {
    await withOracle(server!, SETUP, async (oracle, sessions) => {
      await oracle.run(
        steps(
          "create table t (id int primary key, big text, n int)",
          "alter table t alter big set storage external",
          "insert into t values (1, repeat('x', 3000), 1)",
          "update t set n = 2",
          "alter table t replica identity full",
          "update t set n = 3",
        ),
        sessions,
      );
      const big = "x".repeat(3000);
      const blind = { id: "number 1", n: "number 2" };
      const full = { id: "number 1", big, n: "number 3" };
      const before = { id: "number 1", big, n: "number 2" };
      for (const plugin of OUTPUT_PLUGINS) {
        const [, ...updates] = fields(oracle, plugin, "unchanged", "after", "before");
        assertEquals(updates, [
          [plugin === "wal2json" ? undefined : ["big"], blind, undefined],
          [["big"], full, before],
        ], plugin);
      }
    });
  },
);

Deno.test(
  "JSON's before: what PostgreSQL sent, not what wal2json fills in; test_decoding leaves NULL out",
  { ignore },
  async () => {
    await withOracle(server!, SETUP, async (oracle, sessions) => {
      await oracle.run(
        steps(
          "create table t (id int primary key, v text, w text)",
          "insert into t values (1, 'a', null)",
          "update t set v = 'b'",
          "update t set id = 2",
          "alter table t replica identity full",
          "update t set v = v",
          "delete from t",
          // All columns are the key: wal2json's identity of an update then looks like a FULL row.
          "create table k (a int, b int, primary key (a, b))",
          "insert into k values (1, 2)",
          "update k set a = 1",
        ),
        sessions,
      );
      const id = { id: "number 1" };
      for (const plugin of OUTPUT_PLUGINS) {
        const row = plugin === "test_decoding"
          ? { id: "number 2", v: "b" }
          : { id: "number 2", v: "b", w: null };
        assertEquals(fields(oracle, plugin, "op", "before"), [
          ["insert", undefined],
          ["update", undefined],
          ["delete", id],
          ["insert", undefined],
          ["update", row],
          ["delete", row],
          ["insert", undefined],
          ["update", undefined],
        ], plugin);
      }
    });
  },
);

function checkGrowth(records: readonly Published[]): void {
  const last = new Map<string, { lsn: bigint; seq: number }>();
  let compared = 0;
  for (const { key, data } of records) {
    if (data.commit_lsn === undefined) continue; // a message outside of a transaction
    const pair = { lsn: parseLsn(data.commit_lsn), seq: Number(data.seq.replace("number ", "")) };
    const earlier = last.get(key);
    if (earlier !== undefined) {
      compared++;
      const grows = pair.lsn > earlier.lsn || (pair.lsn === earlier.lsn && pair.seq > earlier.seq);
      assert(grows, `${key}: ${JSON.stringify(data)}`);
    }
    last.set(key, pair);
  }
  assert(compared > 10, `only ${compared} pairs compared`);
}
