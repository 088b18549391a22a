import { assertEquals } from "@std/assert";
import { createFormatter } from "../../src/format/formats.ts";
import type { PartitionKeyChoice } from "../../src/options.ts";
import {
  format,
  MadeUpCatalog,
  message,
  OPTIONS,
  row,
  TRANSACTION,
  truncate,
} from "../support/made_up_changes.ts";

const CHANGES = [
  row("insert", { newRow: [["id", "text", "k"]] }),
  row("insert", { table: "public.keyless", newRow: [["v", "text", "x"]] }),
  truncate(["public.t"]),
  message("x"),
  message("x", false),
];

async function keys(choice: PartitionKeyChoice): Promise<string[]> {
  const catalog = new MadeUpCatalog({ "public.t": {}, "public.keyless": { keys: [[]] } });
  const options = { ...OPTIONS, formatter: "JSON", partitionKey: choice };
  const formatter = await createFormatter(options, "test_decoding", catalog);
  return CHANGES.flatMap((change) => format(formatter, change).map(({ key }) => key));
}

Deno.test("--partition-key pkey: table and key, or what there is of it", async () => {
  assertEquals(await keys({ kind: "pkey" }), [
    "public.t:k",
    "public.keyless",
    "public.t",
    "message:audit",
    "message:audit",
  ]);
});

Deno.test("--partition-key table", async () => {
  assertEquals(await keys({ kind: "table" }), [
    "public.t",
    "public.keyless",
    "public.t",
    "message:audit",
    "message:audit",
  ]);
});

Deno.test("--partition-key xid", async () => {
  assertEquals(await keys({ kind: "xid" }), ["731", "731", "731", "731", "message:audit"]);
});

Deno.test("--partition-key fixed", async () => {
  assertEquals(await keys({ kind: "fixed", text: "one" }), Array(5).fill("one"));
});

Deno.test("each format takes the xid of the change's own transaction", async () => {
  const catalog = new MadeUpCatalog({ "public.t": {} });
  const change = (xid: number) =>
    row("insert", {
      transaction: { ...TRANSACTION, xid, commitLsn: BigInt(xid) },
      newRow: [["id", "text", "k"]],
    });
  for (
    const options of [
      { formatter: "CSV" },
      { formatter: "CSVPayload" },
      { formatter: "CSVPayload", fullChange: true },
      { formatter: "JSON" },
    ]
  ) {
    const formatter = await createFormatter({ ...OPTIONS, ...options }, "wal2json", catalog);
    const xids = [731, 4294967295, 731].map((xid) =>
      /"xid":(\d+)|CDC,(\d+)/.exec(format(formatter, change(xid))[0]!.data)!.slice(1).join("")
    );
    assertEquals(xids, ["731", "4294967295", "731"], options.formatter);
  }
});
