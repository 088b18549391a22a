import { assertEquals } from "@std/assert";
import type { Emit, Formatter } from "../../src/format/formatter.ts";
import { createFormatter } from "../../src/format/formats.ts";
import { LineFormatter } from "../../src/format/line_formatter.ts";
import { renderText } from "../../src/tail/render_record.ts";
import {
  format,
  formatKeyOnly,
  MadeUpCatalog,
  OPTIONS,
  row,
  TRANSACTION,
  truncate,
} from "../support/made_up_changes.ts";

const long = "x".repeat(5000);

/** Without the time at which a record was written. */
const timeless = (data: string) =>
  data.replaceAll(/"ts_[a-z]+":\d+|"timestamp":"[^"]*"/g, '"time"');

for (const formatter of ["CSV", "CSVPayload", "JSON", "debezium", "dms"]) {
  Deno.test(`--record-separator newline ends each record of ${formatter} with a line feed, and changes nothing else`, async () => {
    const make = (recordSeparator: "none" | "newline") =>
      createFormatter(
        { ...OPTIONS, formatter, recordSeparator, excludeTables: ["public.none"] },
        "pgoutput",
        new MadeUpCatalog({ "public.t": {}, "public.none": {} }),
      );
    const [plain, lines] = [await make("none"), await make("newline")];
    const changes = [
      row("insert", { newRow: [["id", "bigint", "1"], ["note", "text", long]] }),
      row("insert", { newRow: [["id", "bigint", "2"], ["note", "text", "a\nb\n"]] }),
      row("delete", { oldRow: [["id", "bigint", "1"]] }),
      truncate(["public.t"]),
    ];
    for (const give of [format, formatKeyOnly]) {
      for (const change of changes) {
        const expected = give(plain, change).map((record) => ({
          ...record,
          // dms ends its records so by itself.
          data: timeless(record.data).replace(/\n?$/, "\n"),
        }));
        const found = give(lines, change).map((record) => ({
          ...record,
          data: timeless(record.data),
        }));
        assertEquals(found, expected);
      }
    }
  });
}

Deno.test("LineFormatter leaves alone what is a line, or empty, and passes commits on", () => {
  const bytes = (text: string) => new TextEncoder().encode(text);
  const given = ["", "a\n", "b", bytes(""), bytes("c\n"), bytes("d")];
  const inner: Formatter = {
    format: (_change, emit) => void given.forEach((data) => emit("key", data, "every shard")),
    formatKeyOnly: () => undefined,
    commit: (_commit, emit) => emit("commit", "e", "transactions"),
  };
  const found: unknown[] = [];
  const emit: Emit = (key, data, route) =>
    found.push([key, typeof data === "string" ? data : new TextDecoder().decode(data), route]);
  const lines = new LineFormatter(inner);
  lines.format(row("insert", {}), emit);
  lines.commit(
    { kind: "commit", transaction: TRANSACTION, endLsn: 1n, commitTime: 1n } as Parameters<
      typeof lines.commit
    >[0],
    emit,
    undefined,
  );
  assertEquals(found, [
    ...["", "a\n", "b\n", "", "c\n", "d\n"].map((text) => ["key", text, "every shard"]),
    ["commit", "e\n", "transactions"],
  ]);
});

Deno.test("tail prints a record that is a line as that line", () => {
  const rendered = (text: string) =>
    new TextDecoder().decode(renderText(new TextEncoder().encode(text)));
  assertEquals(["a", "a\n", "a\n\n", "a\nb\n"].map(rendered), ["a\n", "a\n", "a\\n\n", "a\\nb\n"]);
});
