import { assertEquals } from "@std/assert";
import type { OutputPlugin } from "../../src/options.ts";
import { PREPARE, SCENARIO } from "../fixtures/scenario.ts";
import {
  hasWal2json,
  NO_DEBIAN_POSTGRES,
  startDebianPostgres,
} from "../support/debian_postgres.ts";
import type { Row } from "../support/test_postgres.ts";
import { type Oracle, parseExactly, type Step, withOracle } from "./formats_oracle.ts";

const ignore = !hasWal2json();
if (ignore) console.warn(NO_DEBIAN_POSTGRES);
const server = ignore ? undefined : await startDebianPostgres();

const FULL_CHANGE = { fullChange: true };
/** One publication for what may be updated and deleted, one for what may not. */
const SCENARIO_SETUP = {
  prepare: PREPARE,
  publications: "strict_tables,loose_tables",
  options: FULL_CHANGE,
};
const SETUP = {
  prepare: "create publication everything for all tables",
  publications: "everything",
  options: FULL_CHANGE,
};

function steps(...statements: string[]): Step[] {
  return statements.map((sql) => ({ session: "a", sql }));
}

/** What a plugin's run published, without the prefix. */
function changes(oracle: Oracle, plugin: OutputPlugin): Row[] {
  return oracle.published[plugin].map(({ data }) => data);
}

/** Changes of a table, without its types. */
function ofTable(rows: readonly Row[], table: string): Row[] {
  return rows.map(({ change }) => change).filter((change) => change.table === table)
    .map(withoutTypes);
}

function withoutTypes({ columntypes: _, ...change }: Row): Row {
  if (change.oldkeys === undefined) return change;
  const { keytypes: __, ...oldkeys } = change.oldkeys;
  return { ...change, oldkeys };
}

/** Differences by design; each has a test of its own below. */
const EXCEPTIONS: Readonly<Record<OutputPlugin, (row: Row) => boolean>> = {
  // It tells of updates and deletes without replica identity, which wal2json leaves out.
  test_decoding: ({ change }) =>
    !(change.kind !== "insert" && ["no_key", "nothing"].includes(change.table)),
  wal2json: () => true,
  pgoutput: () => true,
};

Deno.test(
  "full change of the scenario equals wal2json's own format 1, value for value, from all plugins",
  { ignore },
  async () => {
    await withOracle(server!, SCENARIO_SETUP, async (oracle, sessions) => {
      await oracle.run(SCENARIO, sessions);
      const isRow = ({ change }: Row) => change.kind !== "message" && change.kind !== "truncate";
      const theirs = oracle.expected.filter(isRow);
      const typed = oracle.expectedWithTypes.filter((row) => row === undefined || isRow(row));
      assertEquals(theirs.length > 200, true, `only ${theirs.length} changes`);

      for (const plugin of ["test_decoding", "wal2json", "pgoutput"] as const) {
        const ours = changes(oracle, plugin).filter(isRow).filter(EXCEPTIONS[plugin]);
        let at = 0, comparedTypes = 0;
        theirs.forEach(({ xid, change }, i) => {
          const expected = plugin === "pgoutput" ? asPgoutputSees(change) : change;
          if (expected === undefined) return;
          const { xid: ourXid, change: ourChange } = ours[at++] ?? { change: {} };
          const where = `${plugin}, change ${i}`;
          assertEquals([ourXid, withoutTypes(ourChange)], [xid, expected], where);
          const types = typed[i]?.change;
          if (types === undefined || expected !== change) return;
          comparedTypes++;
          const name = plugin === "test_decoding" ? withoutModifier : (type: string) => type;
          const { columntypes, oldkeys } = ourChange;
          assertEquals(columntypes?.map(unquoted), types.columntypes?.map(name), where);
          assertEquals(oldkeys?.keytypes.map(unquoted), types.oldkeys?.keytypes.map(name), where);
        });
        assertEquals(ours.length, at, `${plugin} has more`);
        console.log(`${plugin}: ${at} changes are equal, of ${comparedTypes} the types too`);
      }
    });
  },
);

/** What pgoutput cannot give: generated columns, and what a publication does not hold. */
function asPgoutputSees(change: Row): Row | undefined {
  if (change.table === "summary") return undefined; // a materialized view
  if (change.table !== "generated") return change;
  const stored = change.columnnames.map((name: string) => name !== "twice");
  const keep = (_: unknown, i: number) => stored[i];
  return {
    ...change,
    columnnames: change.columnnames.filter(keep),
    columnvalues: change.columnvalues.filter(keep),
  };
}

/** Format 1 takes the quotes of a type's name for JSON's. */
function unquoted(type: string): string {
  return type.replace(/^"([^"]*)"$/, "$1");
}

/** A type as test_decoding names it. */
function withoutModifier(type: string): string {
  return type.replace(/\([\d,-]+\)/, "").replace(/^interval.*/, "interval");
}

Deno.test(
  "exception: full change from test_decoding also has updates and deletes without replica identity, without old keys",
  { ignore },
  async () => {
    await withOracle(server!, SETUP, async (oracle, sessions) => {
      const tables = steps(
        "create table no_key (a int)",
        "create table nothing (id int primary key, v text)",
        "alter table nothing replica identity nothing",
        // A key that can be deferred is no replica identity.
        "create table deferrable_key (id int primary key deferrable, v text)",
        "drop publication everything",
      );
      await oracle.run(tables, sessions);
      const rows = steps(
        "insert into no_key values (1)",
        "update no_key set a = 2",
        "delete from no_key",
        "insert into nothing values (1, 'v')",
        "update nothing set id = 2",
        "delete from nothing",
        "insert into deferrable_key values (1, 'v')",
        "update deferrable_key set id = 2",
        "delete from deferrable_key",
      );
      // Without a publication pgoutput has nothing to say; with one these statements fail.
      for (const { sql } of rows) await sessions.a.query(sql);
      await sessions.a.query("create publication everything for all tables");
      const schema = "public";
      const insert = (table: string, columnnames: string[], columnvalues: unknown[]) => ({
        kind: "insert",
        schema,
        table,
        columnnames,
        columnvalues,
      });
      await oracle.drain(["test_decoding", "wal2json"]);
      const inserts = [
        insert("no_key", ["a"], ["number 1"]),
        insert("nothing", ["id", "v"], ["number 1", "v"]),
        insert("deferrable_key", ["id", "v"], ["number 1", "v"]),
      ];
      assertEquals(oracle.expected.map(({ change }) => change), inserts);
      assertEquals(changes(oracle, "wal2json").map(({ change }) => withoutTypes(change)), inserts);
      assertEquals(
        changes(oracle, "test_decoding").map(({ change }) => withoutTypes(change)),
        inserts.flatMap((row) => [
          row,
          {
            ...row,
            kind: "update",
            columnvalues: ["number 2", ...row.columnvalues.slice(1)],
          },
          { kind: "delete", schema, table: row.table },
        ]),
      );
    });
  },
);

Deno.test("exception: full change from pgoutput lacks generated columns", { ignore }, async () => {
  await withOracle(server!, SETUP, async (oracle, sessions) => {
    await oracle.run(
      steps(
        "create table g (id int primary key, a int, twice int generated always as (a * 2) stored)",
        "insert into g values (1, 21)",
      ),
      sessions,
    );
    const row = { kind: "insert", schema: "public", table: "g" };
    const all = {
      ...row,
      columnnames: ["id", "a", "twice"],
      columnvalues: ["number 1", "number 21", "number 42"],
    };
    assertEquals(ofTable(oracle.expected, "g"), [all]);
    assertEquals(ofTable(changes(oracle, "test_decoding"), "g"), [all]);
    assertEquals(ofTable(changes(oracle, "wal2json"), "g"), [all]);
    assertEquals(ofTable(changes(oracle, "pgoutput"), "g"), [{
      ...row,
      columnnames: ["id", "a"],
      columnvalues: ["number 1", "number 21"],
    }]);
  });
});

Deno.test(
  "exception: of a FULL old row, wal2json's format 2 does not tell a NaN from NULL, so oldkeys lacks it",
  { ignore },
  async () => {
    await withOracle(server!, SETUP, async (oracle, sessions) => {
      await oracle.run(
        steps(
          "create table n (id int primary key, f float8, e float8)",
          "alter table n replica identity full",
          "insert into n values (1, 'NaN', null)",
          "delete from n",
        ),
        sessions,
      );
      const oldkeys = (rows: Row[]) => ofTable(rows, "n").map((change) => change.oldkeys?.keynames);
      assertEquals(oldkeys(oracle.expected), [undefined, ["id", "f"]]);
      assertEquals(oldkeys(changes(oracle, "test_decoding")), [undefined, ["id", "f"]]);
      assertEquals(oldkeys(changes(oracle, "pgoutput")), [undefined, ["id", "f"]]);
      assertEquals(oldkeys(changes(oracle, "wal2json")), [undefined, ["id"]]);
    });
  },
);

Deno.test("exception: full change has TRUNCATE, which format 1 has not, and no logical messages", {
  ignore,
}, async () => {
  await withOracle(server!, SETUP, async (oracle, sessions) => {
    await oracle.run(
      steps(
        "create table t (id int primary key)",
        "create table u (id int primary key)",
        "begin; insert into t values (1); truncate t, u; insert into u values (2); " +
          "select pg_logical_emit_message(true, 'p', 'c'); commit",
      ),
      sessions,
    );
    const kinds = (rows: Row[]) => rows.map(({ change }) => [change.kind, change.table]);
    assertEquals(kinds(oracle.expected), [
      ["insert", "t"],
      ["insert", "u"],
      ["message", undefined],
    ]);
    for (const plugin of ["test_decoding", "wal2json", "pgoutput"] as const) {
      assertEquals(kinds(changes(oracle, plugin)), [
        ["insert", "t"],
        ["truncate", "t"],
        ["truncate", "u"],
        ["insert", "u"],
      ]);
    }
  });
});

Deno.test("parseExactly keeps every digit", () => {
  assertEquals(parseExactly('{"a":[1.50,-0,1e400,"1.50 \\" 2",12345678901234567890]}'), {
    a: ["number 1.50", "number -0", "number 1e400", '1.50 " 2', "number 12345678901234567890"],
  });
});
