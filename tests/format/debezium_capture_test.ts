import { assert, assertEquals } from "@std/assert";
import type { DebeziumOptions } from "../../src/options.ts";
import { readRecords } from "../fixtures/debezium/read.ts";
import { formatCaptured } from "../support/captured_debezium.ts";
import { differences, parseExactly, type Written } from "../support/debezium_records.ts";

/**
 * Holds `-f debezium` against what Debezium 3.6.1 wrote of the same WAL (scripts/debezium/capture.ts). Every
 * field of every record is equal but for what stands here, and in docs/debezium.md; what stands here and
 * does not differ fails, too.
 */
const DIFFERENCES: readonly (readonly [where: RegExp, why: string])[] = [
  // Its consumers look at the part before the colon.
  [/ transaction\.id$/, "one id for all records of a transaction"],
  [/^(?:BEGIN|END) (?:key\.)?id$/, "one id for all records of a transaction"],
  [/^END data_collections$/, "a message's is a Java object's name; the others are in no order"],
  [/^d .* before\.(?!id$)\w+$/, "fillers of NOT NULL columns in a deleted row"],
  [/^[cud] public\.by_default .*\.d$/, "a NULL becomes the column's DEFAULT"],
  [/^[cu] public\.numbers after\.n3$/, "a negative scale is misread"],
  [/^c public\.texts after\.nm$/, "a name is null"],
  [/^c public\.times after\.tt$/, "24:00 becomes 00:00"],
  [/^c public\.time_limits after\.ts$/, "a timestamp overflows"],
  [/^c public\.time_limits after\.d$/, "an infinite date becomes a day"],
  [/^c public\.arrays after\.i$/, "the elements of a second dimension are null"],
  [/^c public\.left_out after\.\w+$/, "types that it leaves out"],
  [/^m source\.ts_(?:ms|us|ns)$/, "outside of a transaction it is our clock's"],
];

/**
 * It takes a changed index that is the replica identity for a changed key, of a row without id, and so a delete
 * names none.
 */
const BY_INDEX = {
  debezium: ["c", "u", "d", "tombstone", "c", "u", "d", "tombstone"],
  ours: ["c", "u", "u", "u", "d", "tombstone"],
};

/** By xid, the transactions that Debezium does not survive. */
const ZONE_WITH_SECONDS = "765";
const NAN_IN_PRECISE_MODE = "762";

async function ours(settings: Partial<DebeziumOptions>): Promise<Written[]> {
  let last = "";
  return (await formatCaptured(settings)).map(({ key, text }) => {
    const value = text === "" ? null : parseExactly(text);
    return { what: last = nameOf(value, last), key: key === "(none)" ? null : key, value };
  });
}

async function debeziums(run: "precise" | "string" | "double"): Promise<Written[]> {
  let last = "";
  const all = (await readRecords(run)).map(([, key, text]) => {
    const value = text === null ? null : parseExactly(text);
    return { what: last = nameOf(value, last), key, value };
  });
  return all.filter(({ value }) => value?.op !== "r");
}

// deno-lint-ignore no-explicit-any
function nameOf(value: any, last: string): string {
  if (value === null) return last.replace(/^\w+/, "tombstone");
  if (value.status !== undefined) return value.status;
  if (value.op === "m") return "m";
  return `${value.op} ${value.source.schema}.${value.source.table}`;
}

for (const run of ["precise", "string", "double"] as const) {
  Deno.test(`-f debezium is what Debezium writes, with decimals as ${run}`, async () => {
    const precise = run === "precise";
    const [mine, mineByIndex] = split(
      withoutStops(await ours({ decimals: run, transactions: precise }), precise),
    );
    const [theirs, theirsByIndex] = split(withoutStops(await debeziums(run), precise));
    assertEquals(opsOf(mineByIndex), BY_INDEX.ours);
    assertEquals(opsOf(theirsByIndex), BY_INDEX.debezium);
    assertEquals(mine.map(({ what }) => what), theirs.map(({ what }) => what));
    assert(theirs.length > 120, `only ${theirs.length}`);
    const found = new Set<string>();
    theirs.forEach((record, index) => {
      differences(record, mine[index]!).forEach((where) => found.add(where));
    });
    // All other fields were equal: what differs is listed, and what is listed differs.
    for (const where of found) {
      assert(DIFFERENCES.some(([listed]) => listed.test(where)), `${where} differs`);
    }
    for (const [listed, why] of DIFFERENCES) {
      if (/id for all|a message's/.test(why) && !precise) continue;
      if (/negative scale/.test(why) && run === "double") continue;
      assert([...found].some((where) => listed.test(where)), `no difference any more: ${why}`);
    }
  });
}

/** Without the transactions that Debezium does not survive. */
function withoutStops(records: readonly Written[], precise: boolean): Written[] {
  const xidOf = ({ value }: Written) => {
    const id = value?.transaction?.id ?? value?.id;
    return id === undefined ? String(value?.source?.txId?.text) : id.split(":")[0];
  };
  const stopped = new Set([ZONE_WITH_SECONDS, ...precise ? [NAN_IN_PRECISE_MODE] : []]);
  return records.filter((record) => !stopped.has(xidOf(record)));
}

/** The records of `by_index` apart. */
function split(records: readonly Written[]): [Written[], Written[]] {
  const isByIndex = ({ what, value }: Written) =>
    what.endsWith(" public.by_index") ||
    value?.data_collections?.[0]?.data_collection === "public.by_index";
  return [records.filter((record) => !isByIndex(record)), records.filter(isByIndex)];
}

function opsOf(records: readonly Written[]): string[] {
  return records.map(({ what }) => what.split(" ")[0]!).filter((op) => op !== "END");
}
