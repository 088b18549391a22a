import { assertEquals, assertRejects } from "@std/assert";
import {
  CredentialKeeper,
  type Credentials,
  CredentialsError,
  type CredentialSource,
} from "../../src/aws/credentials.ts";
import { VirtualClock } from "../support/virtual_clock.ts";

const MINUTE_MS = 60_000;

function keys(id: string, goodForMs?: number, clock?: VirtualClock): Credentials {
  return {
    accessKeyId: id,
    secretAccessKey: "secret",
    ...goodForMs === undefined ? {} : { expiration: new Date(clock!.wall() + goodForMs) },
  };
}

/** A keeper of what `give` gives, which is asked how often it was. */
function keeperOf(clock: VirtualClock, give: () => Promise<Credentials>) {
  const source: CredentialSource = { name: "the source", load: () => (asked.count++, give()) };
  const asked = { count: 0 };
  return { keeper: new CredentialKeeper(() => Promise.resolve(source), clock, () => 0.5), asked };
}

Deno.test("a keeper goes on with keys that are good while their source fails or says nothing", async () => {
  for (
    const broken of [() => Promise.reject(new Error("no")), () => new Promise<never>(() => {})]
  ) {
    const clock = new VirtualClock();
    let isBroken = false;
    const { keeper, asked } = keeperOf(
      clock,
      () => isBroken ? broken() : Promise.resolve(keys("A", 10 * MINUTE_MS, clock)),
    );
    await clock.run(
      (async () => {
        assertEquals((await keeper.get()).accessKeyId, "A");
        isBroken = true;
        // A thousand requests, until just before they expire.
        for (let i = 0; i < 1_000; i++) {
          await clock.sleep(599);
          assertEquals((await keeper.get()).accessKeyId, "A");
        }
      })(),
      11 * MINUTE_MS,
    );
    // Once at first, then from five minutes before on, ever more rarely.
    assertEquals(asked.count >= 3 && asked.count <= 10, true, String(asked.count));
    const error = await clock.run(
      (async () => {
        await clock.sleep(2_000);
        return await assertRejects(() => keeper.get(), CredentialsError, "the source gave no AWS");
      })(),
      2 * MINUTE_MS,
    );
    assertEquals(error.name, "CredentialsProviderError");
  }
});

Deno.test("a keeper takes new keys before the old ones expire, and never waits for them", async () => {
  const clock = new VirtualClock();
  let made = 0;
  const { keeper } = keeperOf(clock, async () => {
    await clock.sleep(10_000);
    return keys(`K${++made}`, 10 * MINUTE_MS, clock);
  });
  await clock.run(
    (async () => {
      await keeper.get();
      for (let i = 0; i < 60; i++) {
        await clock.sleep(MINUTE_MS / 2);
        const before = clock.now();
        await keeper.get();
        assertEquals(clock.now(), before);
      }
    })(),
    40 * MINUTE_MS,
  );
  assertEquals(made >= 5 && made <= 8, true, String(made));
});

Deno.test("a keeper looks once for other keys when some are refused, and says whether there are", async () => {
  const clock = new VirtualClock();
  let id = "OLD";
  const { keeper, asked } = keeperOf(clock, () => Promise.resolve(keys(id)));
  await keeper.get();
  const { generation } = keeper;
  assertEquals(await keeper.lookAgain(generation), false);
  id = "NEW";
  // All lanes of a run hear it at the same time.
  const found = await Promise.all(Array.from({ length: 8 }, () => keeper.lookAgain(generation)));
  assertEquals(found, Array(8).fill(true));
  assertEquals([asked.count, (await keeper.get()).accessKeyId], [3, "NEW"]);
  assertEquals(await keeper.lookAgain(generation), true);
  assertEquals(asked.count, 3);
});

Deno.test("a keeper refuses keys that no request can be signed with", async () => {
  const wrong: [Credentials, string][] = [
    [keys("AKIA\n"), "the key ID of the source contains a line break"],
    [{ ...keys("AKIA"), secretAccessKey: "a b" }, "the secret of the source contains a blank"],
    [{ ...keys("AKIA"), sessionToken: "" }, "the token of the source is empty"],
  ];
  for (const [given, says] of wrong) {
    const { keeper } = keeperOf(new VirtualClock(), () => Promise.resolve(given));
    await assertRejects(() => keeper.get(), CredentialsError, says);
  }
});
