import { assertEquals } from "@std/assert";
import { distancesOf, oidsOf } from "../../src/backfill/oid_distances.ts";
import { randomFrom, randomSeed } from "../support/random.ts";

Deno.test("distances give back the OIDs that they were made of, in their order", () => {
  const random = randomFrom(randomSeed());
  for (let round = 0; round < 200; round++) {
    const steps = Array.from(
      { length: Math.floor(random() * 50) },
      () => random() < 0.7 ? 6 : 1 + Math.floor(random() * 2 ** 26),
    );
    let oid = Math.floor(random() * 2 ** 20);
    const oids = steps.map((step) => oid += step);
    const shuffled = [...oids].sort(() => random() - 0.5);
    const printed = JSON.parse(JSON.stringify(distancesOf(shuffled)));
    assertEquals(oidsOf(printed), oids);
  }
});

Deno.test("distances of tables that were made together are few", () => {
  const oids = Array.from(
    { length: 10_000 },
    (_, index) => 16_390 + 6 * index + (index > 500 ? 1 : 0),
  );
  assertEquals(distancesOf(oids), [16_390, [6, 500], 7, [6, 9_498]]);
  assertEquals(oidsOf([5, [5, 2], 5]), [5, 10, 15, 20]);
});
