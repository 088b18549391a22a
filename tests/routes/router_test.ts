import { assertEquals, assertThrows } from "@std/assert";
import { RunError, UsageError } from "../../src/base/errors.ts";
import type { RecordTarget } from "../../src/base/record_writer.ts";
import { createMessageFilter } from "../../src/format/filter/message_filter.ts";
import { createTableFilter } from "../../src/format/filter/table_filter.ts";
import type { Change } from "../../src/format/formatter.ts";
import type { PublishedTables } from "../../src/postgres/catalog/published_tables.ts";
import { Destinations, idleRoutes } from "../../src/routes/destinations.ts";
import { fillIn, fixedStreams, parseRoute } from "../../src/routes/route.ts";
import { Router } from "../../src/routes/router.ts";
import { templateStreams, todaysTables } from "../../src/routes/todays_tables.ts";
import {
  MadeUpCatalog,
  message,
  OPTIONS,
  relation,
  row,
  truncate,
} from "../support/made_up_changes.ts";

const routesOf = (...texts: string[]) => texts.map(parseRoute);

/** Streams that are there at once; which were asked for. */
function streams() {
  const asked: string[] = [];
  const target = (name: string) => ({
    ...{ name, add: () => 0, maxRecordBytes: 1 },
    ...{ noteShards: () => {}, notedShards: 0 },
  });
  const known = new Map<string, RecordTarget>();
  const open = (name: string) => {
    asked.push(name);
    const found = known.get(name) ?? target(name);
    known.set(name, found);
    return found;
  };
  return { asked, open };
}

const insert = (table: string, xid?: number) =>
  row("insert", {
    table,
    newRow: [["id", "integer", "1"]],
    ...xid === undefined
      ? {}
      : { transaction: { xid, timeline: 1, commitLsn: 1n, commitTime: 1n } },
  });

function nameOf(router: Router, change: Change): unknown {
  const target = router.targetOf(change);
  return "kind" in target ? target.kind : (target as RecordTarget & { name: string }).name;
}

Deno.test("Destinations: the first route that matches counts, by a table's own name or one above it", () => {
  const catalog = new MadeUpCatalog({
    "public.orders": {},
    "public.orders_1": { parents: ["public.orders"] },
    "public.orders_1_1": { parents: ["public.orders_1"] },
    "public.rest": {},
  });
  const of = (...texts: string[]) => {
    const destinations = new Destinations(routesOf(...texts), "else", catalog);
    return (table: string) => destinations.ofTable(relation(table)).stream;
  };
  const first = of("public.orders=o", "public.orders_1=one", "*=rest");
  assertEquals(["public.orders_1_1", "public.orders_1", "public.rest", "a.b"].map(first), [
    ...["o", "o", "rest", "rest"],
  ]);
  const own = of("public.orders_1=one", "public.orders=o");
  assertEquals(["public.orders_1_1", "public.orders", "public.rest"].map(own), [
    "one",
    "o",
    "else",
  ]);
  const dropped = of("public.orders_1=-", "public.*=p");
  assertEquals(["public.orders_1_1", "public.orders"].map(dropped), [undefined, "p"]);
  // A template is filled in with the name that matched.
  const template = of("public.orders={schema}-{table}", "*=t.{table}");
  assertEquals(["public.orders_1_1", "public.rest"].map(template), ["public-orders", "t.rest"]);
});

Deno.test("Destinations: messages have routes of their own, which tables do not match, nor the other way", () => {
  const destinations = new Destinations(
    routesOf("*=tables", "message:app.*=events", "message:noise=-"),
    "else",
    new MadeUpCatalog({}),
  );
  assertEquals(
    ["app.x", "app", "noise"].map((prefix) => destinations.ofMessage(prefix).stream),
    ["events", "else", undefined],
  );
  assertEquals(destinations.ofTable(relation("app.x")).stream, "tables");
});

Deno.test("fillIn makes of a table's name what Kinesis takes", () => {
  assertEquals(fillIn("app.{schema}.{table}", "public", "orders"), "app.public.orders");
  assertEquals(fillIn("{table}-{schema}-{table}", "s", "t"), "t-s-t");
  assertEquals(fillIn("{table}", "s", "My Table/ü😀{schema}$&"), "My_Table____schema___");
  assertEquals(
    fillIn("arn:aws:kinesis:eu-west-1:123456789012:stream/{table}", "s", "a:b"),
    "arn:aws:kinesis:eu-west-1:123456789012:stream/a_b",
  );
});

Deno.test("fixedStreams are those without a template, and the one beside the routes unless all have one", () => {
  const fixed = (...texts: string[]) => fixedStreams(routesOf(...texts), "else");
  assertEquals(fixed(), ["else"]);
  assertEquals(fixed("a.b=x", "c.d=x", "e.f={table}", "g.h=-"), ["x", "else"]);
  assertEquals(fixed("a.b=x", "*=app.{table}"), ["x"]);
  assertEquals(fixed("*.*=all"), ["all"]);
  assertEquals(fixed("message:*=m"), ["m", "else"]);
});

Deno.test("Router asks for a stream once, and for no catalog where a table's own name decides", () => {
  const { asked, open } = streams();
  const catalog = new MadeUpCatalog({});
  const router = new Router(routesOf("*=app.{table}"), "else", "pgoutput", catalog, { open });
  for (const table of ["public.a", "public.b", "public.a"]) nameOf(router, insert(table));
  assertEquals(nameOf(router, insert("public.a")), "app.a");
  assertEquals(nameOf(router, truncate(["public.b"])), "app.b");
  assertEquals(nameOf(router, message("x")), "else");
  assertEquals(asked, ["app.a", "app.b", "else"]);
});

Deno.test("Router has a table read first whose parents could send it elsewhere, in each transaction that may have changed them", () => {
  const { open } = streams();
  const catalog = new MadeUpCatalog({});
  const seen = new Set<number>();
  catalog.shows = (xid) => seen.has(xid);
  const router = new Router(routesOf("public.orders=o"), "else", "pgoutput", catalog, { open });
  assertEquals(nameOf(router, insert("public.orders", 7)), "o");
  assertEquals(nameOf(router, insert("public.late", 7)), "unread");
  seen.add(7);
  catalog.set("public.late", { parents: ["public.orders"] });
  catalog.set("public.orders", {});
  catalog.version++;
  assertEquals(nameOf(router, insert("public.late", 7)), "o");
  assertEquals(nameOf(router, insert("public.late", 8)), "unread");
});

Deno.test("Router refuses a name that is too long for Kinesis", () => {
  const { open, asked } = streams();
  const router = new Router(
    routesOf("*={schema}.{table}"),
    "else",
    "pgoutput",
    new MadeUpCatalog({}),
    { open },
  );
  const long = `${"s".repeat(63)}.${"t".repeat(66)}`;
  assertThrows(() => router.targetOf(insert(long)), RunError, "which is longer than the 128");
  assertEquals(asked, []);
});

Deno.test("what is dropped passes no filter, so that nothing is asked about it", () => {
  const catalog = new MadeUpCatalog({
    "public.secret": {},
    "public.secret_1": { parents: ["public.secret"] },
    "public.t": {},
  });
  const routes = routesOf("public.secret=-", "message:noise=-", "*=all");
  const wanted = createTableFilter({ ...OPTIONS, routes }, catalog);
  assertEquals(["public.secret", "public.secret_1", "public.t"].map(wanted), [false, false, true]);
  const publishes = createMessageFilter({ formatter: "JSON", messagePrefixes: ["*"], routes });
  assertEquals(["noise", "app"].map(publishes), [false, true]);
});

Deno.test("idleRoutes are those that no table of today goes by, with why", () => {
  const catalog = new MadeUpCatalog({ "public.a": {}, "public.b": {} });
  assertEquals(
    idleRoutes(
      routesOf("public.a=x", "public.c=y", "public.?=z", "public.b=-", "message:m=q"),
      catalog,
    ),
    [
      { route: "public.c=y", why: "it matches none of the database's 2 tables" },
      { route: "public.b=-", why: "the tables that it matches have an earlier route" },
    ],
  );
});

Deno.test("templateStreams are those of the tables that have changes of their own today", () => {
  const catalog = new MadeUpCatalog({
    "public.a": {},
    "public.b c": {},
    "public.b_c": {},
    "public.secret": {},
    "public.fixed": {},
    "public.unpublished": {},
    "public.root": { isPartitioned: true },
    "public.part": { parents: ["public.root"] },
    [`public.${"t".repeat(120)}`]: {},
  });
  const routes = routesOf("public.fixed=f", "public.*=app.{schema}.{table}");
  const streamsOf = (published?: PublishedTables) =>
    templateStreams(
      routes,
      catalog,
      () => todaysTables(catalog, (table) => table !== "public.secret", published),
    );
  const some = ["app.public.a", "app.public.b_c"];
  assertEquals(streamsOf(), [...some, "app.public.unpublished", "app.public.part"]);
  const names = ["public.a", "public.b c", "public.b_c", "public.fixed", "public.secret"];
  const publish = (more: string[], roots: string[] = []) =>
    streamsOf({ names: new Set([...names, ...more]), roots });
  assertEquals(publish(["public.part"]), [...some, "app.public.part"]);
  assertEquals(publish(["public.root"], ["public.root"]), [...some, "app.public.root"]);
  // Two publications, of which one names the partitions.
  assertEquals(publish(["public.root", "public.part"], ["public.root"]), [
    ...some,
    "app.public.root",
  ]);
  const never = () => {
    throw new Error("without a template no table is looked at");
  };
  assertEquals(templateStreams(routesOf("public.a=x"), catalog, never), []);
});

Deno.test("a table's name has no say in anything but the stream's name, whatever it is", () => {
  const arn = "arn:aws:kinesis:eu-west-1:123456789012:stream/app.{table}";
  for (
    const elsewhere of [
      "arn:aws:kinesis:{schema}:123456789012:stream/x",
      "arn:aws{schema}:kinesis:eu-west-1:123456789012:stream/x",
      "arn:aws:kinesis:eu-west-1:{table}:stream/x",
    ]
  ) {
    assertThrows(
      () => parseRoute(`*=${elsewhere}`),
      UsageError,
      "in the stream's name only, behind stream/",
    );
  }
  const names = ["x/../y", "x:stream/other", "{schema}", "$&", "a\nb", "é🎉", "..", "", "a b"];
  const { open, asked } = streams();
  for (const table of names) {
    const catalog = new MadeUpCatalog({});
    const router = new Router(routesOf(`*=${arn}`), "else", "pgoutput", catalog, { open });
    router.targetOf(insert(`public.${table}`));
  }
  assertEquals(
    asked.map((stream) => stream.slice("arn:aws:kinesis:eu-west-1:123456789012:stream/".length)),
    [
      "app.x_.._y",
      "app.x_stream_other",
      "app._schema_",
      "app.__",
      "app.a_b",
      "app.__",
      "app...",
      "app.",
      "app.a_b",
    ],
  );
});
