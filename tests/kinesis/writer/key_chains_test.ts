import { assertEquals, assertStrictEquals } from "@std/assert";
import { KeyChains } from "../../../src/kinesis/writer/key_chains.ts";
import { randomFrom, randomSeed } from "../../support/random.ts";

interface Link {
  readonly partitionKey: string;
  readonly position: number;
  next: Link | undefined;
}
const place = ({ position }: Link) => position;

Deno.test("KeyChains gives what a scan from the front would, each key's records one by one", () => {
  const seed = randomSeed();
  const random = randomFrom(seed);
  const below = (limit: number) => Math.floor(random() * limit);
  const chains = new KeyChains<Link>();
  let waiting: Link[] = [];
  let positions = 0;
  const add = (partitionKey: string) => {
    const link = { partitionKey, position: positions++, next: undefined };
    chains.add(link);
    waiting.push(link);
  };
  for (let step = 0; step < 3_000; step++) {
    for (let i = below(8); i > 0; i--) {
      add(`key ${below(12)}`);
    }
    const keys = new Set<string>();
    const expected = waiting.filter(({ partitionKey }) =>
      !keys.has(partitionKey) && keys.add(partitionKey)
    ).slice(0, below(10));
    for (const record of expected) {
      assertStrictEquals(chains.peek(), record, `seed ${seed}, step ${step}`);
      chains.take();
      // What comes while records are on their way stays behind those of its key.
      if (random() < 0.1) add(record.partitionKey);
    }
    if (random() < 0.05) {
      assertEquals(chains.all().map(place), waiting.map(place), `seed ${seed}, step ${step}`);
    }
    const stored = new Set(expected.filter(() => random() < 0.7));
    chains.giveBack((record) => stored.has(record));
    waiting = waiting.filter((record) => !stored.has(record));
    assertEquals(chains.isEmpty, waiting.length === 0);
  }
});
