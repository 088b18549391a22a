import { assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import { fileURLToPath } from "node:url";
import { RunError } from "../../../src/base/errors.ts";
import { createFormatter } from "../../../src/format/formats.ts";
import type { Formatter } from "../../../src/format/formatter.ts";
import { UNCHANGED } from "../../../src/decode/event.ts";
import {
  format,
  formatKeyOnly,
  MadeUpCatalog,
  message,
  OPTIONS,
  row,
  truncate,
  tryFormat,
} from "../../support/made_up_changes.ts";

const catalog = () =>
  new MadeUpCatalog({
    "public.orders": {},
    "public.payments": {},
    "public.scratch": {},
    "public.keyless": { keys: [[]] },
  });

function load(path: string): Promise<Formatter> {
  return createFormatter({ ...OPTIONS, formatter: path }, "pgoutput", catalog());
}

/** Runs `use` with a formatter whose module has this text. */
async function withModule<T>(
  text: string,
  use: (path: string) => Promise<T> | T,
  name = "my format.js",
): Promise<T> {
  const directory = await Deno.makeTempDir({ prefix: "pg2kinesis_" });
  const path = `${directory}/${name}`;
  try {
    await Deno.writeTextFile(path, text);
    return await use(path);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

const insert = row("insert", {
  table: "public.orders",
  seq: 4,
  newRow: [["id", "bigint", "1"], ["note", "text", null], ["big", "text", UNCHANGED]],
});

Deno.test("the example formatter does what it says", async () => {
  const path = fileURLToPath(new URL("../../../docs/examples/my_format.js", import.meta.url));
  const formatter = await load(path);
  const newRow = [["id", "bigint", "9007199254740993"], ["note", "text", null]] as const;
  const line = JSON.stringify({
    id: "731/2",
    time: "2026-11-22T08:01:02.123456Z",
    what: "public.payments insert",
    key: { id: "9007199254740993" },
    row: { id: "9007199254740993", note: null },
  });
  const payment = row("insert", { table: "public.payments", seq: 2, newRow });
  assertEquals(format(formatter, payment), [
    { key: "public.payments:9007199254740993", data: line, route: undefined },
    { key: "audit", data: line, route: undefined },
  ]);
  assertEquals(format(formatter, row("insert", { table: "public.scratch", newRow })), []);
  assertEquals(format(formatter, truncate(["public.orders"])), [
    { key: "public.orders", data: '{"what":"public.orders truncate"}', route: "every shard" },
  ]);
  assertEquals(format(formatter, message("hello")), [
    { key: "message:audit", data: "hello", route: undefined },
  ]);
  const short = JSON.parse(formatKeyOnly(formatter, payment)[0]!.data);
  assertEquals([short.key, short.row], [{ id: "9007199254740993" }, undefined]);
});

Deno.test("a user's formatter is given the change and its transaction", async () => {
  const text = "export default (change, transaction) => JSON.stringify([change, transaction]);";
  await withModule(text, async (path) => {
    const formatter = await load(path);
    const [change, transaction] = JSON.parse(format(formatter, insert)[0]!.data);
    assertEquals(change, {
      kind: "insert",
      schema: "public",
      table: "orders",
      lsn: "0/16B3748",
      seq: 4,
      partitionKey: "public.orders:1",
      key: [{ name: "id", type: "bigint", value: "1" }],
      newRow: [
        { name: "id", type: "bigint", value: "1" },
        { name: "note", type: "text", value: null },
        { name: "big", type: "text" },
      ],
      oversize: false,
    });
    assertEquals(transaction, {
      xid: 731,
      timeline: 1,
      commitLsn: "0/16B3800",
      commitTime: "2026-11-22T08:01:02.123456Z",
    });
    const [plain, outside] = JSON.parse(format(formatter, message("x", false))[0]!.data);
    assertEquals([plain.kind, plain.prefix, plain.seq, outside], ["message", "audit", -1, null]);
  });
});

Deno.test("a user's formatter returns nothing, text, bytes, or several with their own partition keys", async () => {
  const text = `export default (change) => [
    "text", new Uint8Array([65]), { data: "own", partitionKey: "mine" }, { data: "plain" },
  ].slice(0, change.seq)`;
  await withModule(text, async (path) => {
    const formatter = await load(path);
    const key = "public.orders:1";
    assertEquals(format(formatter, insert), [
      { key, data: "text", route: undefined },
      { key, data: "A", route: undefined },
      { key: "mine", data: "own", route: undefined },
      { key, data: "plain", route: undefined },
    ]);
    assertEquals(format(formatter, truncate(["public.orders"], 3)).map(({ route }) => route), [
      "every shard",
      "every shard",
      undefined,
    ]);
    assertEquals(format(formatter, { ...insert, seq: 0 }), []);
  });
});

Deno.test("a user's formatter may keep and change a message's bytes: they are a copy", async () => {
  await withModule("export default (change) => change.content.fill(65)", async (path) => {
    const change = message("xyz");
    assertEquals(format(await load(path), change)[0]!.data, "AAA");
    assertEquals(new TextDecoder().decode(change.content), "xyz");
  });
});

Deno.test("a module may be TypeScript where Deno runs from source", async () => {
  const text = "export default (change: { table: string }): string => `of ${change.table}`;";
  await withModule(text, async (path) => {
    assertEquals(format(await load(path), insert)[0]!.data, "of orders");
  }, "my_format.ts");
});

Deno.test("a module that cannot be used is an error at start that names it", async () => {
  const failure = async (path: string) => {
    const error = await assertRejects(() => load(path), RunError);
    assertEquals(error.message.includes("\n"), false);
    return error.message.replace(path, "PATH").replace(/file:.*$/, "URL");
  };
  assertEquals(
    await failure("/nowhere/format.js"),
    "cannot load the formatter PATH: there is no such file",
  );
  assertEquals(
    await failure("./format.tsx"),
    "cannot load the formatter PATH: a formatter is an ES module in JavaScript, and its name ends " +
      "in .js or .mjs",
  );
  assertEquals(
    await withModule("export const x = 1;", failure),
    "cannot use the formatter PATH: its default export must be a function (change, transaction) " +
      "=> records, found nothing",
  );
  assertEquals(
    await withModule("export default { format() {} };", failure),
    "cannot use the formatter PATH: its default export must be a function (change, transaction) " +
      "=> records, found an object",
  );
  assertEquals(
    await withModule('throw new Error("broken\\n at start");', failure),
    "cannot load the formatter PATH: Error: broken at start (URL",
  );
  assertEquals(
    (await withModule("export default (", failure)).startsWith("cannot load the formatter PATH: "),
    true,
  );
  const directory = await Deno.makeTempDir({ suffix: ".js" });
  assertEquals(await failure(directory), "cannot load the formatter PATH: it is a directory");
  await Deno.remove(directory);
  // Deno writes this one for a terminal, and it happens in a module of ours.
  await withModule('import "no-such-package";', async (path) => {
    const { message } = await assertRejects(() => load(path), RunError);
    assertMatch(message, /"no-such-package"/);
    assertEquals(message.includes("\x1b") || message.includes("user_module.ts"), false, message);
  });
  assertEquals(
    await withModule('import "./missing.js";', failure).then((text) =>
      text.includes("Module not found")
    ),
    true,
  );
});

Deno.test("what a user's formatter throws or returns wrongly names module, change and position", async () => {
  const failure = (body: string) =>
    withModule(`export default (change) => { ${body} }`, async (path) => {
      const formatter = await load(path);
      const records: unknown[] = [];
      const error = assertThrows(
        () => formatter.format(insert, (...record) => records.push(record)),
        RunError,
      );
      assertEquals(records, [], "something was emitted");
      const text = error.message.replaceAll(path, "PATH").replace(/file:.*?:(\d+:\d+)/, "URL:$1");
      const start = "the formatter PATH, given the insert of public.orders at LSN 0/16B3748 " +
        "(xid 731, change 4), ";
      assertEquals(text.slice(0, start.length), start);
      return text.slice(start.length);
    });
  const nonsense = "a record is text, bytes or { data, partitionKey }";
  assertEquals(
    await failure("change.key.nothing.length"),
    "failed: TypeError: Cannot read properties of undefined (reading 'length') (URL:1:49)",
  );
  assertEquals(await failure("throw 'a text'"), 'failed: it threw "a text"');
  assertEquals(await failure("return 5"), `returned a number; ${nonsense}`);
  assertEquals(await failure("return ['fine', null]"), `returned null; ${nonsense}`);
  assertEquals(
    await failure("return { text: 1 }"),
    "returned a record whose data is nothing; it must be text or bytes",
  );
  assertEquals(
    await failure("return { data: 'x', partitionKey: 5 }"),
    "returned a record whose partitionKey is a number; it must be a text of 1 to 256 characters",
  );
  assertEquals(
    await failure("return { data: 'x', partitionKey: '' }"),
    "returned a record whose partitionKey is empty; it must be a text of 1 to 256 characters",
  );
  assertEquals(
    await failure("return Promise.reject(new Error('late'))"),
    "returned a promise; it must be synchronous",
  );
});

Deno.test("a user's formatter needs no key, but waits for the catalog where the key is not known yet", async () => {
  await withModule("export default (change) => String(change.key)", async (path) => {
    const formatter = await load(path);
    const change = row("insert", { table: "public.new", newRow: [["id", "integer", "1"]] });
    assertEquals(tryFormat(formatter, change).problem?.kind, "unknown-table");
    const keyless = row("insert", { table: "public.keyless", newRow: [] });
    assertEquals(format(formatter, keyless), [
      { key: "public.keyless", data: "undefined", route: undefined },
    ]);
  });
});

Deno.test("what a user's formatter does not look at is not decoded", async () => {
  await withModule("export default (change) => change.key[0].value", async (path) => {
    const change = {
      ...insert,
      get newRow(): never {
        throw new Error("the row was decoded");
      },
    };
    assertEquals(format(await load(path), change)[0]!.data, "1");
  });
});
