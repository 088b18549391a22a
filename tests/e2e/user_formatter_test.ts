import { assert, assertEquals, assertMatch } from "@std/assert";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { canFindExecutable, findExecutable, NO_EXECUTABLE } from "../support/executable.ts";
import { startEmbeddedPostgres } from "../support/embedded_postgres.ts";
import { startKinesalite, type TestKinesis } from "../support/kinesalite.ts";
import { Pg2kinesis } from "../support/pg2kinesis.ts";
import { readBack } from "../support/read_back.ts";
import { type FreshDatabase, freshDatabase } from "../support/shared_postgres.ts";
import { waitFor } from "../support/wait.ts";
import { flagsFor, freshStreamName, waitUntilConfirmed } from "../support/following_program.ts";

const server = await startEmbeddedPostgres();

const EXAMPLE = fileURLToPath(new URL("../../docs/examples/my_format.js", import.meta.url));

const TABLES = `
  create table orders (id int primary key, note text);
  create table payments (id int primary key, amount numeric);
  create table scratch (id int primary key);
`;

/** Runs the example of the documents on a small workload. */
async function runExample(executable: string | undefined) {
  await using kinesis = await startKinesalite();
  await using db = await freshDatabase(server);
  await db.sql(TABLES + `create publication ${db.slot} for all tables`);
  await db.createSlot("pgoutput");
  const stream = freshStreamName();
  await kinesis.createStream(stream, 2);
  const home = await Deno.makeTempDir({ prefix: "pg2k_format_" });
  try {
    // Named as an operator would, relative to where the program runs.
    await Deno.copyFile(EXAMPLE, join(home, "my format.js"));
    const flags = [
      "--pg-slot-output-plugin",
      "pgoutput",
      "-f",
      "./my format.js",
      "--message-prefix",
      "p",
    ];
    await using program = await Pg2kinesis.start([...flagsFor(db, stream), ...flags], {
      env: kinesis.env,
      cwd: home,
      executable,
    });
    await program.waitForLog(/following slot/, 60_000);
    await db.sql(`insert into orders values (1, 'é'); insert into scratch values (1);
      insert into payments values (9, 1.50); delete from orders;
      select pg_logical_emit_message(true, 'p', 'plain')`);
    await db.sql("truncate orders");
    await waitUntilConfirmed(db, program);
    assertEquals(await program.stop(), 0, program.stderr);
    const { records } = await readBack(kinesis.client, stream);
    const seen = records.map(({ partitionKey, text }) => {
      if (text === "plain") return [partitionKey, text];
      const { id, time, what, key, row } = JSON.parse(text);
      if (id !== undefined) {
        assertMatch(id, /^\d+\/\d$/);
        assert(!Number.isNaN(Date.parse(time)), time);
      }
      return [partitionKey, what, key, row];
    });
    const inShard = (partitionKey: string) => seen.filter(([key]) => key === partitionKey);
    assertEquals(inShard("public.orders:1"), [
      ["public.orders:1", "public.orders insert", { id: "1" }, { id: "1", note: "é" }],
      ["public.orders:1", "public.orders delete", { id: "1" }, undefined],
    ]);
    for (const key of ["public.payments:9", "audit"]) {
      const payment = [key, "public.payments insert", { id: "9" }, { id: "9", amount: "1.50" }];
      assertEquals(inShard(key), [payment]);
    }
    assertEquals(inShard("message:p"), [["message:p", "plain"]]);
    const truncate = ["public.orders", "public.orders truncate", undefined, undefined];
    assertEquals(inShard("public.orders"), [truncate, truncate], "one in each shard");
    assertEquals(seen.length, 7);
  } finally {
    await Deno.remove(home, { recursive: true });
  }
}

Deno.test("the example formatter, run from source, publishes what it makes of the changes", async () => {
  await runExample(undefined);
});

const noExecutable = !await canFindExecutable();
if (noExecutable) console.warn(NO_EXECUTABLE);
Deno.test("the example formatter, run from the compiled executable, publishes the same", {
  ignore: noExecutable,
}, async () => {
  await using executable = await findExecutable();
  await runExample(executable.path);
});

interface Unusable {
  readonly what: string;
  /** Undefined: there is no such file. */
  readonly module: string | undefined;
  readonly code: number;
  readonly says: RegExp;
}

const UNUSABLE: readonly Unusable[] = [
  {
    what: "is missing",
    module: undefined,
    code: 2,
    says: /^pg2kinesis: --message-formatter: there is no file \S+format\.js /,
  },
  {
    what: "has no function",
    module: "export const format = () => 'x';",
    code: 1,
    says: /cannot use the formatter \S+: its default export must be a function/,
  },
  {
    what: "throws when it is loaded",
    module: "throw new Error('at start')",
    code: 1,
    says: /cannot load the formatter \S+: Error: at start/,
  },
];

Deno.test("a formatter that cannot be used is reported before the stream, the server or another host is asked", async (t) => {
  for (const { what, module, code, says } of UNUSABLE) {
    await t.step(what, async () => {
      const home = await Deno.makeTempDir({ prefix: "pg2k_format_" });
      try {
        const path = join(home, "format.js");
        if (module !== undefined) await Deno.writeTextFile(path, module);
        // Nobody listens at port 1.
        const flags = ["-h", "127.0.0.1", "-p", "1", "-u", "nobody", "-d", "none", "-f", path];
        for (const more of [["--create-stream"], ["--standby"]]) {
          const ended = await Pg2kinesis.run([...flags, ...more], {
            env: {
              AWS_REGION: "us-east-1",
              AWS_ENDPOINT_URL_KINESIS: "http://127.0.0.1:1",
              AWS_ACCESS_KEY_ID: "AKIATESTTESTTESTTEST",
              AWS_SECRET_ACCESS_KEY: "test-secret",
            },
          });
          assertEquals(ended.code, code, ended.stderr);
          assertEquals(ended.stderr.trimEnd().split("\n").length, 1, ended.stderr);
          assertMatch(ended.stderr, says);
        }
      } finally {
        await Deno.remove(home, { recursive: true });
      }
    });
  }
});

Deno.test("a stop ends a run whose formatter never finishes loading", async () => {
  const home = await Deno.makeTempDir({ prefix: "pg2k_format_" });
  try {
    const path = join(home, "format.js"), begun = join(home, "begun");
    await Deno.writeTextFile(
      path,
      `Deno.writeTextFileSync(${JSON.stringify(begun)}, ""); setInterval(() => {}, 1000);
      await new Promise(() => {}); export default () => "x";`,
    );
    await using program = await Pg2kinesis.start(["-d", "d", "-u", "u", "-k", "s", "-f", path]);
    const hasBegun = () => Deno.stat(begun).then(() => true, () => false);
    await waitFor(hasBegun, { what: "the module to be loaded" });
    assertEquals(await program.stop(), 0, program.stderr);
  } finally {
    await Deno.remove(home, { recursive: true });
  }
});

interface Broken {
  readonly what: string;
  readonly module: string;
  readonly says: RegExp;
  /** What was stored before it. */
  readonly stored: readonly string[];
}

const BROKEN: readonly Broken[] = [
  {
    what: "throws at a change",
    module: `export default ({ key, newRow }) => {
      if (key[0].value === "2") throw new Error("two!\\nreally");
      return newRow[1].value;
    }`,
    says:
      /formatter \S+, given the insert of public\.orders at LSN [0-9A-F]+\/[0-9A-F]+ \(xid \d+, change 1\), failed: Error: two! really/,
    stored: ["one"],
  },
  {
    what: "returns nonsense",
    module: "export default ({ key }) => key[0].value === '2' ? { text: 5 } : 'x';",
    says: /change 1\), returned a record whose data is nothing/,
    stored: ["x"],
  },
];

Deno.test("a formatter that fails at a change stops the run with one line, and nothing behind it is confirmed", async (t) => {
  await using kinesis = await startKinesalite();
  for (const broken of BROKEN) {
    await t.step(broken.what, async () => {
      await using db = await freshDatabase(server);
      await expectBroken(broken, kinesis, db);
    });
  }
});

async function expectBroken(broken: Broken, kinesis: TestKinesis, db: FreshDatabase) {
  await db.sql(TABLES);
  await db.createSlot("test_decoding");
  const stream = freshStreamName();
  await kinesis.createStream(stream, 1);
  await db.sql("insert into orders values (1, 'one'), (2, 'two'), (3, 'three')");
  const home = await Deno.makeTempDir({ prefix: "pg2k_format_" });
  try {
    const path = join(home, "format.js");
    await Deno.writeTextFile(path, broken.module);
    const { code, stderr } = await Pg2kinesis.run([...flagsFor(db, stream), "-f", path], {
      env: kinesis.env,
    });
    assertEquals(code, 1, stderr);
    const errors = stderr.trimEnd().split("\n").filter((line) => !/ (INFO|WARN\w*) /.test(line));
    assertEquals(errors.length, 1, stderr);
    assertMatch(errors[0]!, broken.says);
    const { records } = await readBack(kinesis.client, stream);
    assertEquals(records.map(({ text }) => text), broken.stored);
    const [left] = await db.sql(
      "select count(*)::int as n from pg_logical_slot_peek_changes($1, null, null) where data like '%INSERT%'",
      [db.slot],
    );
    assertEquals(left!.n, 3, "the transaction comes again");
  } finally {
    await Deno.remove(home, { recursive: true });
  }
}
