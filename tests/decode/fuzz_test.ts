/**
 * Every decoder against mutations of real messages: a value that the reference parser reads too, or a
 * DecodeError with its place. Seconds here; `deno task fuzz` runs it for minutes.
 */
import { assert, assertEquals } from "@std/assert";
import type { OutputPlugin } from "../../src/options.ts";
import { randomFrom, randomSeed } from "../support/random.ts";
import { DecoderFuzzer } from "./fuzz/fuzz.ts";

/** Inputs for each decoder. */
const given = Deno.env.get("PG2KINESIS_FUZZ_INPUTS");
const inputs = Number(given ?? 20_000);
/** The same inputs whenever all tests run: `deno task fuzz` is what looks for new ones. */
const FIXED_SEED = 20261128;
const isFixed = given === undefined && Deno.env.get("PG2KINESIS_TEST_SEED") === undefined;

const plugins: OutputPlugin[] = ["test_decoding", "wal2json", "pgoutput"];
for (const plugin of plugins) {
  Deno.test(`the decoder of ${plugin} gives a right value or a DecodeError for any input`, async () => {
    const fuzzer = await DecoderFuzzer.create(
      plugin,
      randomFrom(isFixed ? FIXED_SEED : randomSeed()),
    );
    fuzzer.run(inputs);
    const { inputs: tried, values, compared, errors } = fuzzer.counts;
    console.log(
      `${plugin}: ${tried} inputs, ${values} understood (${compared} as the reference does), ` +
        `${errors} refused`,
    );
    // None was left out, and both answers, and the comparison, had a share that says something.
    assert(inputs >= 1000, `PG2KINESIS_FUZZ_INPUTS=${inputs} are too few to say anything`);
    assert(tried >= inputs, `only ${tried} of ${inputs}`);
    assertEquals(values + errors, tried);
    for (const share of [compared, errors]) assert(share > tried / 50, `${share} of ${tried}`);
  });
}
