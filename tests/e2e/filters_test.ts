import { assertEquals, assertMatch } from "@std/assert";
import { createHash } from "node:crypto";
import { startKinesalite } from "../support/kinesalite.ts";
import { freshDatabase } from "../support/shared_postgres.ts";
import { Follower, followWithAll, startServerWithPlugins } from "../support/all_plugins.ts";

const { server, plugins } = await startServerWithPlugins();

const TABLES = `
  create table orders (id int primary key, note text, email text);
  create table order_drafts (id int primary key);
  create table customers (id int primary key, email text, phone text);
  alter table customers replica identity full;
  create publication published for table orders, order_drafts, customers;
`;

const WORK = `
  insert into orders values (1, 'n', 'a@b'); insert into order_drafts values (1);
  insert into customers values (1, 'c@d', '123'); update customers set email = 'e@f';
  update orders set note = 'm'; delete from customers; truncate orders, customers;
`;

const SALT = "pepper";
const masked = (text: string) => createHash("sha256").update(SALT + text).digest("hex");

interface Case {
  readonly what: string;
  readonly flags: readonly string[];
  /** `seq op table` of what is published; then what is kept of the row. */
  readonly published: readonly string[];
}

const CASES: readonly Case[] = [
  {
    what: "--table-pat",
    flags: ["--table-pat", "\\.order"],
    published: [
      '0 insert orders {"id":1,"note":"n","email":"a@b"}',
      '1 insert order_drafts {"id":1}',
      '4 update orders {"id":1,"note":"m","email":"a@b"}',
      "6 truncate orders",
    ],
  },
  {
    what: "--include-table and --exclude-table",
    flags: ["--include-table", "*.order*", "--include-table", "public.customers"]
      .concat("--exclude-table", "*_drafts", "--exclude-table", "public.c*"),
    published: [
      '0 insert orders {"id":1,"note":"n","email":"a@b"}',
      '4 update orders {"id":1,"note":"m","email":"a@b"}',
      "6 truncate orders",
    ],
  },
  {
    what: "--operations",
    flags: ["--operations", "delete,truncate", "--exclude-table", "*.order*"],
    published: ['5 delete customers {"id":1,"email":"e@f","phone":"123"}', "7 truncate customers"],
  },
  {
    what: "--exclude-column and --mask-column, in old rows too",
    flags: ["--include-table", "*.customers", "--operations", "insert,update,delete"]
      .concat("--exclude-column", "public.customers.phone")
      .concat("--mask-column", "public.customers.email"),
    published: [
      `2 insert customers {"id":1,"email":"${masked("c@d")}"}`,
      `3 update customers {"id":1,"email":"${masked("c@d")}"} {"id":1,"email":"${masked("e@f")}"}`,
      `5 delete customers {"id":1,"email":"${masked("e@f")}"}`,
    ],
  },
];

for (const { what, flags, published } of CASES) {
  Deno.test(`filters through the program: ${what}`, async () => {
    await using kinesis = await startKinesalite();
    await using db = await freshDatabase(server);
    await db.sql(TABLES);
    const all = ["-f", "JSON", ...flags];
    const env = { PG2KINESIS_MASK_SALT: SALT };
    const stored = await followWithAll({ plugins, db, kinesis, flags: all, env }, async () => {
      await db.sql(WORK);
    });
    for (const [plugin, records] of stored) {
      const seen = records.map(({ text }) => {
        const { seq, op, table, before, after } = JSON.parse(text);
        return [
          seq,
          op,
          table,
          ...[before, after].filter(Boolean).map((row) => JSON.stringify(row)),
        ]
          .join(" ");
      });
      assertEquals(seen, published, plugin);
    }
  });
}

Deno.test("filters through the program: none drops a primary key, or hides a slip of the pen", async (t) => {
  await using kinesis = await startKinesalite();
  await using db = await freshDatabase(server);
  await db.sql(TABLES);
  await using follower = await Follower.create("test_decoding", db, kinesis);
  await db.sql("insert into orders values (1)");
  const refused: readonly (readonly [string[], number, RegExp])[] = [
    [["--exclude-column", "public.orders.id"], 1, /public\.orders\.id .*primary key/],
    [["--mask-column", "public.orders.id"], 1, /public\.orders\.id .*primary key/],
    [
      ["--exclude-column", "public.orders.note_"],
      1,
      /such column.*id, note, email; did you mean note/,
    ],
    [
      ["--mask-column", "public.customers.Email"],
      1,
      /such column.*id, email, phone; did you mean em/,
    ],
    [["--exclude-column", "public.order.note"], 1, /no table/],
    [["--include-table", "public.custommers"], 1, /public\.custommers matches none/],
    [["--include-table", "*", "--exclude-table", "*"], 1, /leave none/],
  ];
  for (const [flags, exit, says] of refused) {
    await t.step(flags.join(" "), async () => {
      const env = { PG2KINESIS_MASK_SALT: SALT };
      const { code, stderr } = await follower.run(["-f", "JSON", ...flags], env);
      assertEquals(code, exit, stderr);
      assertMatch(stderr.split("\n").find((line) => / ERROR /.test(line)) ?? "", says);
      // Before any change, which is not a slip's to wait for.
      assertEquals(/following slot/.test(stderr), false, stderr);
      assertEquals(await follower.records(), []);
    });
  }
  await t.step("a column that was dropped after changes that the slot still has", async () => {
    await db.sql("insert into customers values (1, 'c@d', '123')");
    await db.sql("alter table customers drop column phone");
    const flags = ["-f", "JSON", "--exclude-column", "public.customers.phone"];
    const program = await follower.start(flags);
    await program.waitForLog(
      /WARNING .*public\.customers\.phone: .*; the slot may have changes from before/,
    );
    await follower.catchUp();
    assertEquals(
      (await follower.records()).map(({ text }) => JSON.parse(text).after).slice(-1),
      [{ id: 1, email: "c@d" }],
    );
  });
  const env = { PG2KINESIS_MASK_SALT: SALT };
  const customers = async () =>
    (await follower.records()).map(({ text }) => JSON.parse(text))
      .filter(({ table, after }) => table === "customers" && after.id > 1)
      .map(({ after }) => after);
  await t.step("a column that is renamed while it runs", async () => {
    const flags = ["-f", "JSON", "--mask-column", "public.customers.email"];
    const program = await follower.start(flags, env);
    await db.sql("insert into customers values (2, 'g@h')");
    await follower.catchUp();
    await db.sql("alter table customers rename email to mail");
    await db.sql("insert into customers values (3, 'i@j')");
    assertEquals(await program.waitForExit(), 1, program.stderr);
    assertMatch(
      program.stderr,
      /ERROR --mask-column public\.customers\.email: .* any more, and has mail/,
    );
    assertEquals(await customers(), [{ id: 2, email: masked("g@h") }]);

    await follower.start(["-f", "JSON", "--mask-column", "public.customers.mail"], env);
    await follower.catchUp();
    assertEquals(await customers(), [
      { id: 2, email: masked("g@h") },
      { id: 3, mail: masked("i@j") },
    ]);
  });
  await t.step(
    "a column that is renamed while the program stands, with both names' rules",
    async () => {
      assertEquals(await follower.program.stop(), 0);
      await db.sql("insert into customers values (4, 'k@l')");
      await db.sql("alter table customers rename mail to post");
      await db.sql("insert into customers values (5, 'm@n')");
      const rules = ["mail", "post"].flatMap((
        name,
      ) => ["--mask-column", `public.customers.${name}`]);
      await follower.start(["-f", "JSON", ...rules], env);
      await follower.catchUp();
      assertEquals((await customers()).slice(2), [
        { id: 4, mail: masked("k@l") },
        { id: 5, post: masked("m@n") },
      ]);
    },
  );
  await t.step("a mask without salt", async () => {
    const { code, stderr } = await follower.run(["--mask-column", "public.orders.note"]);
    assertEquals([code, /PG2KINESIS_MASK_SALT/.test(stderr)], [2, true], stderr);
  });
});

for (const plugin of plugins) {
  for (const work of ["delete from customers", "update customers set phone = '456'"]) {
    Deno.test(`filters through the program: ${plugin}, a column that is renamed before: ${work}`, async () => {
      await using kinesis = await startKinesalite();
      await using db = await freshDatabase(server);
      await db.sql(TABLES);
      await using follower = await Follower.create(plugin, db, kinesis);
      const program = await follower.start(
        ["-f", "JSON", "--exclude-column", "public.customers.email"],
      );
      await db.sql("insert into customers values (1, 'c@d', '123')");
      await follower.catchUp();
      await db.sql("alter table customers rename email to mail");
      await db.sql(work);
      assertEquals(await program.waitForExit(), 1, program.stderr);
      assertMatch(program.stderr, /ERROR .*\.email: .* such column.* mail/);
      assertEquals((await follower.records()).filter(({ text }) => text.includes("c@d")), []);
    });
  }
}
