import { assert, assertEquals, assertMatch } from "@std/assert";
import { estimateCatchUp, ratesBetween } from "../../src/telemetry/rates.ts";
import { renderStatus } from "../../src/telemetry/status_line.ts";
import { GIB, type MadeUp, madeUpSnapshot } from "../support/made_up_snapshots.ts";

function render(columns: number, before: MadeUp, after: MadeUp): string {
  const [first, last] = [
    madeUpSnapshot({ atMs: 0, ...before }),
    madeUpSnapshot({ atMs: 10_000, ...after }),
  ];
  return renderStatus(last, ratesBetween(first, last), estimateCatchUp(first, last), columns);
}

const BUSY: [MadeUp, MadeUp] = [
  { lag: { bytes: 8 * GIB, seconds: 700 }, shards: [{}, {}] },
  {
    lag: { bytes: 7 * GIB, seconds: 690 },
    changes: 123_450,
    bytes: 61_000_000,
    puts: 1200,
    throttled: 25,
    shards: [{ bytes: 3_000_000 }, { bytes: 9_800_000 }],
    pendingBytes: 1,
    retainedBytes: 9 * GIB,
    safeWalBytes: 3 * GIB,
  },
];

Deno.test("renderStatus says all it knows where there is room", () => {
  assertEquals(
    render(300, ...BUSY),
    "lag 12 min · 7.00 GiB behind · caught up in 70 s · 12,345 changes/s · " +
      "5.82 MiB/s · 120 puts/s · 3 throttled/s · WAL kept 9.00 GiB (lost after 3.00 GiB more) · busiest shard 1 957 KiB/s · " +
      "shop at db:5432 into changes in eu-west-1",
  );
});

Deno.test("renderStatus fits any width, and keeps what matters most", () => {
  for (let columns = 0; columns <= 200; columns++) {
    assert(render(columns, ...BUSY).length <= columns, String(columns));
  }
  assertEquals(
    render(80, ...BUSY).slice(0, 50),
    "lag 12 min · 7.00 GiB behind · caught up in 70 s ·",
  );
  assertEquals(render(10, ...BUSY), "lag 12 min");
  assertEquals(render(5, ...BUSY), "lag …");
  assertEquals(render(0, ...BUSY), "");
});

Deno.test("renderStatus of a run that is not connected says so first", () => {
  const away = { state: "reconnecting", sinceMs: 3_000, lossReason: "it shut down" } as const;
  assertEquals(render(40, {}, away), "not connected to PostgreSQL for 7.0 s");
  assertMatch(render(80, {}, away), /^not connected to PostgreSQL for 7.0 s · it shut down · /);
});

Deno.test("renderStatus says since when puts fail, why, and who waits for whom", () => {
  const failing = { seconds: 70, reason: "TimeoutError", shards: 1 };
  const line = render(200, { puts: 5 }, {
    puts: 45,
    failedPuts: 40,
    failing,
    pendingBytes: 4 * 1024 * 1024,
    shards: [{}, {}],
  });
  assertMatch(line, /^puts into 1 of 2 shards failing for 70 s · TimeoutError · PostgreSQL waits/);
  assertMatch(line, / · 0 puts\/s · 4 failed puts\/s/);
});

Deno.test("renderStatus leaves out what is not known", () => {
  const line = render(100, {}, { lag: { bytes: undefined, seconds: undefined } });
  assertEquals(
    line,
    "0 changes/s · 0 bytes/s · 0 puts/s · 0 throttled · shop at db:5432 into changes in eu-west-1",
  );
});
