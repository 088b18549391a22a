import { assertEquals } from "@std/assert";
import { PageData } from "../../src/telemetry/page_data.ts";
import { madeUpSnapshot } from "../support/made_up_snapshots.ts";

Deno.test("PageData shows what happened since the start before there is a minute of it", () => {
  const snapshot = madeUpSnapshot({ changes: 5 });
  using data = new PageData({ snapshot: () => snapshot });
  assertEquals(data.since(0, undefined).now.putSeconds, null);
  snapshot.writer!.putSeconds.observe(0.004);
  const { now, points } = data.since(0, undefined);
  assertEquals([now.putSeconds?.p50, now.totals.changes, points], [0.00375, 5, []]);
});

Deno.test("PageData gives nothing that JSON cannot hold", () => {
  const snapshot = madeUpSnapshot({ lag: { bytes: undefined, seconds: undefined } });
  using data = new PageData({ snapshot: () => snapshot });
  const { now } = JSON.parse(JSON.stringify(data.since(0, { kind: "seconds", seconds: 1 })));
  assertEquals([now.lagBytes, now.lagSeconds, now.confirmed], [null, null, "0/100"]);
  assertEquals(now.notReady, "how far it is behind is not known yet");
});
