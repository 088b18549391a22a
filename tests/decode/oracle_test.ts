/**
 * Values compared with what others say of the same WAL: wal2json's format version 1 (another printer
 * in the same plugin, read by JSON.parse), and the plugins with each other.
 */
import { assert, assertEquals } from "@std/assert";
import { formatLsn } from "../../src/base/lsn.ts";
import {
  type Column,
  type RowChange,
  type TransactionEvent,
  UNCHANGED,
} from "../../src/decode/event.ts";
import { type Fixture, readFixture } from "../fixtures/fixture.ts";
import { decodeFixture } from "../support/decoding.ts";

/** What wal2json does to the values of these types. */
function asWal2json({ type, value }: Column): string | null {
  if (value === null || value === UNCHANGED) return null;
  if (/^(real|double precision|numeric)/.test(type) && /^(NaN|-?Infinity)$/.test(value)) {
    return null;
  }
  return type === "bytea" ? value.slice(2) : value;
}

function rowChanges(fixture: Fixture): RowChange[] {
  const events = decodeFixture(fixture);
  return events.filter((event): event is RowChange =>
    event.kind === "insert" || event.kind === "update" || event.kind === "delete"
  );
}

function isLoose({ relation, kind }: RowChange): boolean {
  return relation.schema === "loose" && kind !== "insert";
}

/** Reads version 1, every number as its text; undefined where its type names make it invalid JSON. */
function readVersion1(text: string) {
  try {
    return JSON.parse(text, (_, value, context?: { source?: string }) => {
      return typeof value === "number" || typeof value === "boolean" ? context?.source : value;
    });
  } catch {
    return undefined;
  }
}

for (const plugin of ["test_decoding", "wal2json", "pgoutput"] as const) {
  Deno.test(`${plugin} gives the rows that wal2json prints in format version 1`, async () => {
    const changes = rowChanges(await readFixture(plugin, 15));
    let compared = 0, unreadable = 0;
    for (const { text } of (await readFixture("wal2json_v1", 15)).messages) {
      if (text === undefined) continue; // A logical message that is not UTF-8.
      const transaction = readVersion1(text);
      if (transaction === undefined) {
        unreadable++;
        continue;
      }
      const expected = transaction.change.filter((change: { kind: string }) =>
        change.kind !== "message"
      );
      const xid = Number(transaction.xid);
      const actual = changes.filter((change) =>
        change.transaction.xid === xid &&
        // Version 1 leaves these out, and prints the changes of materialized views …
        !isLoose(change)
      );
      if (expected.length > 0 && actual.length === 0 && plugin === "pgoutput") {
        // … which pgoutput does not.
        assertEquals(expected.map(({ table }: { table: string }) => table), ["summary"]);
        continue;
      }
      assertEquals(actual.length, expected.length, `transaction ${xid}: ${text}`);
      for (const [index, change] of actual.entries()) {
        compareWithVersion1(change, expected[index], plugin);
        compared++;
      }
    }
    console.log(`${compared} changes compared, ${unreadable} transactions are invalid JSON`);
    assert(compared > 200, `only ${compared} changes were compared`);
    // The rows with columns of types in "My Schema".
    assertEquals(unreadable, 6);
  });
}

// deno-lint-ignore no-explicit-any
function compareWithVersion1(change: RowChange, expected: any, plugin: string): void {
  const where = JSON.stringify(expected);
  assertEquals(change.kind, expected.kind, where);
  assertEquals(change.relation.schema, expected.schema, where);
  assertEquals(change.relation.table, expected.table, where);
  if (change.kind !== "delete") {
    const { columnnames, columnvalues, columntypes } = expected;
    const sent = change.newRow!.filter((column) => column.value !== UNCHANGED);
    const isMissing = (name: string) => !sent.some((column) => column.name === name);
    const generated = columnnames.filter(isMissing);
    // pgoutput does not send generated columns.
    if (generated.length > 0) assertEquals([plugin, generated], ["pgoutput", ["twice"]], where);
    const indexes = [...columnnames.keys()].filter((index) =>
      !generated.includes(columnnames[index])
    );
    assertEquals(
      sent.map((column) => column.name),
      indexes.map((index) => columnnames[index]),
      where,
    );
    assertEquals(sent.map(asWal2json), indexes.map((index) => columnvalues[index]), where);
    if (plugin === "wal2json") {
      assertEquals(sent.map((column) => column.type), columntypes, where);
    }
  }
  if (change.oldRow !== undefined) {
    const { keynames, keyvalues } = expected.oldkeys;
    // Version 1 leaves out what was NULL, but not what it prints as null.
    const isLeftOut = ({ name, value }: Column) => value === null && !keynames.includes(name);
    const old = change.oldRow.filter((column) => !isLeftOut(column));
    assertEquals(old.map((column) => column.name), keynames, where);
    assertEquals(old.map(asWal2json), keyvalues, where);
  }
  // Version 1 does not tell the key of tables with another replica identity than the default.
  if (change.keyNames !== undefined && expected.pk !== undefined) {
    assertEquals(change.keyNames, expected.pk.pknames, where);
  }
}

for (const [major, plugins] of [[15, ["wal2json", "pgoutput"]], [18, ["pgoutput"]]] as const) {
  for (const plugin of plugins) {
    Deno.test(`${plugin} and test_decoding give the same changes of ${major}`, async () => {
      const isPublished = (change: RowChange) =>
        !isLoose(change) && (plugin !== "pgoutput" || change.relation.table !== "summary");
      const ours = rowChanges(await readFixture(plugin, major)).filter(isPublished);
      const theirs = rowChanges(await readFixture("test_decoding", major))
        .filter(isPublished);
      assertEquals(ours.length, theirs.length);
      for (const [index, change] of ours.entries()) compare(change, theirs[index]!, plugin);
    });
  }
}

function compare(change: RowChange, other: RowChange, plugin: string): void {
  const where = `${change.kind} of ${change.relation.qualifiedName}, xid ${change.transaction.xid}`;
  assertEquals(change.kind, other.kind, where);
  assertEquals(change.transaction.xid, other.transaction.xid, where);
  assertEquals(change.relation.qualifiedName, other.relation.qualifiedName, where);
  // Positions differ where a plugin leaves changes out.
  for (const column of change.newRow ?? []) {
    const same = other.newColumn(column.name);
    if (same === undefined) throw new Error(`${where}: test_decoding has no ${column.name}`);
    const isLost = plugin === "wal2json" && column.value === null;
    if (isLost) assertEquals(asWal2json(same), null, where);
    else assertEquals(column.value, same.value, `${where}: ${column.name}`);
    // The others name types with their modifiers, and wal2json without the quotes.
    const plain = (type: string) => type.replace(/\([^)]*\)| (year|second|to|month)\b/g, "");
    if (!isPlainlyNamed(column.type)) continue;
    assertEquals(plain(column.type), plain(same.type), `${where}: ${column.name}`);
  }
  for (const column of change.oldRow ?? []) {
    const same = other.oldColumn(column.name);
    // test_decoding leaves out nulls, and the old key of an update that did not change it.
    if (column.value === null) {
      if (same !== undefined) assertEquals([plugin, asWal2json(same)], ["wal2json", null], where);
    } else if (same !== undefined) {
      assertEquals(column.value, same.value, `${where}: ${column.name}`);
    } else {
      assertEquals([plugin, change.kind], ["wal2json", "update"], where);
      assertEquals(column.value, other.newColumn(column.name)?.value, where);
    }
  }
  for (const column of other.newRow ?? []) {
    if (change.newColumn(column.name) !== undefined) continue;
    const isGenerated = column.name === "twice" && plugin === "pgoutput";
    assert(isGenerated || column.value === UNCHANGED, `${where}: ${column.name} is missing`);
  }
}

for (const major of [15, 18]) {
  Deno.test(`the decoders give the same transactions, messages and truncates of ${major}`, async () => {
    const testDecoding = decodeFixture(await readFixture("test_decoding", major));
    const pgoutput = decodeFixture(await readFixture("pgoutput", major));
    assertEquals(pgoutput.flatMap(showMessage), testDecoding.flatMap(showMessage));
    // pgoutput does not publish the tables of `loose`, and leaves out empty transactions.
    assertEquals(pgoutput.flatMap(showTruncate), testDecoding.flatMap(showTruncate));
    if (major === 18) return;
    const wal2json = decodeFixture(await readFixture("wal2json", major));
    const untilZero = (
      message: string[],
    ) => [...message.slice(0, -1), message.at(-1)!.split("00,")[0]];
    assertEquals(
      wal2json.flatMap(showMessage).map(untilZero),
      testDecoding.flatMap(showMessage).map(untilZero),
    );
    const [begins, others] = [wal2json, pgoutput].map((events) => {
      const transactions = events.flatMap((event) =>
        event.kind === "begin" ? [event.transaction] : []
      );
      return new Map(transactions.map((transaction) => [transaction.xid, transaction]));
    });
    for (const [xid, transaction] of others!) assertEquals(begins!.get(xid), transaction);
    assert(others!.size > 100);
    // Its commits come in the same order, each confirmed at the same LSN.
    const commits = (events: TransactionEvent[]) =>
      events.flatMap((event) =>
        event.kind === "commit" && others!.has(event.transaction.xid)
          ? [[event.transaction.xid, event.endLsn]]
          : []
      );
    assertEquals(commits(wal2json), commits(pgoutput));
    assertEquals(commits(testDecoding), commits(pgoutput));
  });
}

function showMessage(event: TransactionEvent): string[][] {
  if (event.kind !== "message") return [];
  const content = [...event.content].map((byte) => `${byte.toString(16).padStart(2, "0")},`).join(
    "",
  );
  return [[String(event.transaction?.xid), formatLsn(event.lsn), event.prefix, content]];
}

function showTruncate(event: TransactionEvent): unknown[] {
  if (event.kind !== "truncate") return [];
  const { transaction, cascade, restartIdentity, relations } = event;
  // pgoutput names the partitions only.
  const tables = relations.map((relation) => relation.qualifiedName)
    .filter((table) => table !== "public.measured");
  return [[transaction.xid, cascade, restartIdentity, tables]];
}

/** Types that were renamed later, or that the plugins quote differently. */
function isPlainlyNamed(type: string): boolean {
  return /^[a-z0-9_ ]+(\(.*\))?(\[\])?$/.test(type) &&
    !/^(char|mood|temper|short_type)/.test(type) &&
    !type.includes("bit");
}
