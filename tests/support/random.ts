/** The seed of this test run: `PG2KINESIS_TEST_SEED`, or a new one, printed so that it can be had again. */
export function randomSeed(): number {
  const given = Deno.env.get("PG2KINESIS_TEST_SEED");
  const seed = given === undefined ? crypto.getRandomValues(new Uint32Array(1))[0]! : Number(given);
  console.log(`seed ${seed} (PG2KINESIS_TEST_SEED=${seed} repeats it)`);
  return seed;
}

/** Numbers in [0, 1) from a 32-bit seed: the mulberry32 generator. */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6D2B79F5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
