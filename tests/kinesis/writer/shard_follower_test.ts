import { getLogger } from "@logtape/logtape";
import { assertEquals, assertMatch } from "@std/assert";
import type { KinesisApi } from "../../../src/kinesis/client/kinesis_api.ts";
import { type Clock, systemClock } from "../../../src/base/clock.ts";
import type { Lane } from "../../../src/kinesis/writer/lane.ts";
import { ShardFollower } from "../../../src/kinesis/writer/shard_follower.ts";
import { RequestTrouble } from "../../../src/kinesis/client/request_trouble.ts";
import { waitFor } from "../../support/wait.ts";

const LISTED = {
  ShardId: "shardId-000000000000",
  HashKeyRange: { StartingHashKey: "0", EndingHashKey: `${2n ** 128n - 1n}` },
  SequenceNumberRange: { StartingSequenceNumber: "1" },
};

Deno.test("ShardFollower looks again when it is called while the last look comes to its end", async () => {
  const closing = new AbortController();
  for (let turns = 0; turns < 20; turns++) {
    let listings = 0;
    let afterLook: (() => void) | undefined;
    const listShards = () => {
      listings++;
      return Promise.resolve([LISTED]);
    };
    const owner = {
      lanes: () => {
        // Asked twice a look: for what the listing is held against, then for those that are closed.
        afterLook?.();
        return [];
      },
      switchTo: () => {},
      broken: (error: unknown) => {
        throw error;
      },
    };
    const follower = new ShardFollower(owner, {
      api: { region: "r", listShards } as unknown as KinesisApi,
      streamName: "s",
      clock: systemClock,
      random: () => 0,
      trouble: new RequestTrouble(systemClock, getLogger("test")),
      closing: closing.signal,
    });
    let asked = 0;
    let called = -1;
    afterLook = () => {
      if (++asked !== 2) return;
      afterLook = undefined;
      void (async () => {
        for (let i = 0; i < turns; i++) await undefined;
        called = listings;
        follower.follow();
      })();
    };
    follower.follow();
    await waitFor(() => called > 0 && listings > called, {
      what: `a look after a call ${turns} turns behind the last one`,
      timeoutMs: 2000,
    });
    assertEquals(listings, called + 1);
  }
});

Deno.test("ShardFollower ends the run where it may not list the shards, and says what is kept", async () => {
  const denied = Object.assign(new Error("no"), {
    name: "AccessDeniedException",
    $metadata: { httpStatusCode: 400 },
  });
  const broken = await new Promise<unknown>((resolve) =>
    new ShardFollower({ lanes: () => [], switchTo: () => {}, broken: resolve }, {
      api: { region: "r", listShards: () => Promise.reject(denied) } as unknown as KinesisApi,
      streamName: "s",
      clock: systemClock,
      random: () => 0,
      trouble: new RequestTrouble(systemClock, getLogger("test")),
      closing: new AbortController().signal,
    }).follow()
  );
  assertMatch(
    (broken as Error).message,
    /^cannot list the shards of stream s \(r\): .*allow kinesis:ListShards.*; the slot keeps what is not stored,/,
  );
});

Deno.test("ShardFollower lists again when a listing has a shard without its range", async () => {
  const listings: unknown[] = [[{ ShardId: "shardId-000000000000" }], [null], [LISTED]];
  const closing = new AbortController();
  const clock: Clock = { ...systemClock, sleep: () => Promise.resolve() };
  const owner = {
    lanes: () => [],
    switchTo: () => {},
    broken: (error: unknown) => {
      throw error;
    },
  };
  const follower = new ShardFollower(owner, {
    api: {
      region: "r",
      listShards: () => Promise.resolve(listings.shift()),
    } as unknown as KinesisApi,
    streamName: "s",
    clock,
    random: () => 0,
    trouble: new RequestTrouble(clock, getLogger("test")),
    closing: closing.signal,
  });
  await follower.look({ shard: { id: LISTED.ShardId } } as Lane);
  assertEquals(listings, []);
});
