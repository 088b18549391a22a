import { assert, assertEquals, assertMatch } from "@std/assert";
import { createFormatter } from "../../src/format/formats.ts";
import { RowView } from "../../src/format/row_view.ts";
import type { RowChange, TransactionEvent } from "../../src/decode/event.ts";
import { asRow, decodeFixture, newDecoder } from "../support/decoding.ts";
import * as write from "../support/pgoutput_messages.ts";
import { makeXLogData, readFixture } from "../fixtures/fixture.ts";
import { randomFrom, randomSeed } from "../support/random.ts";
import { format, MadeUpCatalog, OPTIONS, tryFormat } from "../support/made_up_changes.ts";

const FIXTURES = [
  ["test_decoding", 15],
  ["test_decoding", 18],
  ["wal2json", 15],
  ["pgoutput", 15],
  ["pgoutput", 18],
] as const;

function isRow(event: TransactionEvent): event is RowChange {
  return event.kind === "insert" || event.kind === "update" || event.kind === "delete";
}

Deno.test("JSON of pgoutput's rows is the same from their bytes and from their columns", async () => {
  const random = randomFrom(randomSeed());
  const types = [
    "integer",
    "boolean",
    "text",
    "jsonb",
    "double precision",
    "numeric(9,2)",
    "bytea",
  ];
  const columns = types.map((type, index) => ({
    name: index === 0 ? "id" : `c"${index}`,
    oid: type === "boolean" ? 16 : 100 + index,
  }));
  const decoder = newDecoder("pgoutput", (oid) => oid === 16 ? "boolean" : types[oid - 100]);
  decoder.decode(makeXLogData(1n, write.begin(0x20n, 0n, 7)));
  decoder.decode(makeXLogData(1n, write.relation(1, "s", "t", columns, "f")));
  const catalog = new MadeUpCatalog({ "s.t": {} });
  const formatter = await createFormatter({ ...OPTIONS, formatter: "JSON" }, "pgoutput", catalog);

  const pick = <T>(...choices: T[]): T => choices[Math.floor(random() * choices.length)]!;
  const character = () => {
    const ascii = pick(random() * 0x20, 0x22, 0x5C, 0x20 + random() * 0x60);
    return String.fromCodePoint(Math.floor(random() < 0.02 ? 0x80 + random() * 0x700 : ascii));
  };
  const text = () => Array.from({ length: random() * 40 }, character).join("");
  const value = (type: string): string | null => {
    if (random() < 0.1) return null;
    switch (type) {
      case "boolean":
        return pick("t", "f");
      case "integer":
        return String(Math.floor(random() * 1e9) - 5e8);
      case "jsonb":
        return JSON.stringify({ [text()]: [1, text()] }, null, pick(0, 2));
      case "double precision":
        return pick("NaN", "-Infinity", "1e-300", "-0", "0.1");
      default:
        return text();
    }
  };
  const rowOf = () => types.map((type, index) => index === 0 ? String(pick(1, 2)) : value(type));
  let fromBytes = 0;
  for (let i = 0; i < 2000; i++) {
    const data = pick(
      () => write.insert(1, rowOf()),
      () => write.update(1, "O", rowOf(), rowOf()),
      () => write.deletion(1, "O", rowOf()),
    )();
    const change = asRow(decoder.decode(makeXLogData(0x1Fn, data)));
    if (change.newBytes!() ?? change.oldBytes!()) fromBytes++;
    // Seen through a view, a row has only columns.
    assertEquals(
      format(formatter, change),
      format(formatter, new RowView(change, (column) => column)),
    );
  }
  assertEquals(fromBytes, 2000);
});

for (const [plugin, major] of FIXTURES) {
  Deno.test(`rows of ${plugin} of ${major}: the same from their bytes and from their columns`, async () => {
    const fixture = await readFixture(plugin, major);
    const rows = () => decodeFixture(fixture).filter(isRow);
    const names = rows().map(({ relation }) => relation.qualifiedName);
    const catalog = new MadeUpCatalog(Object.fromEntries(names.map((name) => [name, {}])));
    const formats = ["JSON", "debezium", "dms"].map((formatter) => ({ formatter }));
    for (const options of [...formats, { fullChange: true }]) {
      const formatter = await createFormatter({ ...OPTIONS, ...options }, plugin, catalog);
      let records = 0;
      for (const change of rows()) {
        const found = withoutClock(tryFormat(formatter, change));
        const seen = withoutClock(tryFormat(formatter, new RowView(change, (column) => column)));
        assertEquals(found, seen);
        records += found.records.length;
      }
      assert(records > 50, `only ${records} records`);
    }
  });
}

/** Without when a record was made. */
function withoutClock({ records, problem }: ReturnType<typeof tryFormat>) {
  const times = /"ts_[mun]s":\d+|"timestamp":"[^"]*"/g;
  return { records: records.map(({ data }) => data.replace(times, "")), problem };
}

Deno.test("JSON of pgoutput's rows hides columns all the same", async () => {
  const decoder = newDecoder("pgoutput");
  const names = ["id", "name", "secret"].map((name) => ({ name, oid: 25, flags: 1 }));
  decoder.decode(makeXLogData(1n, write.begin(0x20n, 0n, 7)));
  decoder.decode(makeXLogData(1n, write.relation(1, "s", "t", names, "f")));
  const catalog = new MadeUpCatalog({ "s.t": {} });
  const formatter = await createFormatter(
    {
      ...{ ...OPTIONS, formatter: "JSON", maskSalt: "salt" },
      ...{ excludeColumns: ["s.t.secret"], maskColumns: ["s.t.name"] },
    },
    "pgoutput",
    catalog,
  );
  const data = write.update(1, "O", ["1", "Ada", "hidden"], ["1", "Ida", "hidden too"]);
  const [record] = format(formatter, asRow(decoder.decode(makeXLogData(1n, data))));
  const { before, after } = JSON.parse(record!.data);
  for (const row of [before, after]) {
    assertEquals(Object.keys(row), ["id", "name"]);
    assertMatch(row.name, /^[0-9a-f]{64}$/);
  }
});
