import { assertEquals } from "@std/assert";
import { countingSleep } from "../../src/base/clock.ts";

const HOUR_MS = 3_600_000;

/** Two clocks of a host, and what happens to them. */
class Host {
  #nowMs = 5_000;
  #wallMs = 1_000_000;
  readonly passedMs = countingSleep({ now: () => this.#nowMs, wall: () => this.#wallMs });
  readonly #begunMs = this.passedMs();

  awake(ms: number): this {
    this.#nowMs += ms;
    this.#wallMs += ms;
    return this.#asked();
  }

  asleep(ms: number): this {
    this.#wallMs += ms;
    return this.#asked();
  }

  set(ms: number): this {
    this.#wallMs += ms;
    return this.#asked();
  }

  get passed(): number {
    return this.passedMs() - this.#begunMs;
  }

  #asked(): this {
    this.passedMs();
    return this;
  }
}

Deno.test("countingSleep counts what passes, awake or asleep", () => {
  assertEquals(new Host().awake(100).asleep(HOUR_MS).awake(50).passed, HOUR_MS + 150);
});

Deno.test("countingSleep neither falls nor stands when the clock is set back, and counts a sleep after it", () => {
  const host = new Host().awake(100).set(-HOUR_MS);
  assertEquals(host.passed, 100);
  assertEquals(host.awake(1_000).passed, 1_100);
  assertEquals(host.asleep(20_000).passed, 21_100);
});

Deno.test("countingSleep takes a step forward for time that has passed", () => {
  assertEquals(new Host().awake(100).set(HOUR_MS).set(-HOUR_MS).awake(1).passed, HOUR_MS + 101);
});

Deno.test("countingSleep does not add up by how much two clocks are read apart", () => {
  const host = new Host();
  for (let i = 0; i < 1_000; i++) host.set(1).set(-1).awake(1);
  assertEquals(host.passed, 1_001);
});

Deno.test("nothing in src/ reads a clock but clock.ts, so that no interval depends on who sets one", async () => {
  assertEquals(await filesWith(/Date\.now\b|new Date\(\)|performance\.now/), ["base/clock.ts"]);
});

Deno.test("there is one sleep, and one account of when a trouble was said last", async () => {
  assertEquals(await filesWith(/new Promise[^;]*setTimeout/), []);
  assertEquals(await filesWith(/(?:told|said|reminded)AtMs/i), ["base/lasting_trouble.ts"]);
});

Deno.test("stages are given their clock: only what wires them has the system's", async () => {
  const stages = /^(?:postgres|kinesis|decode|checkpoint|publisher|pipeline)\b/;
  const found = (await filesWith(/\bsystemClock\b/)).filter((path) => stages.test(path));
  assertEquals(found, ["kinesis/client/kinesis_client.ts", "kinesis/writer/open_streams.ts"]);
});

/** The files of src/, from there, in which the pattern is found. */
async function filesWith(pattern: RegExp): Promise<string[]> {
  const root = new URL("../../src/", import.meta.url);
  const found: string[] = [];
  const look = async (directory: URL) => {
    for await (const { name, isDirectory } of Deno.readDir(directory)) {
      const url = new URL(isDirectory ? `${name}/` : name, directory);
      if (isDirectory) await look(url);
      else if (name.endsWith(".ts") && pattern.test(await Deno.readTextFile(url))) {
        found.push(url.href.slice(root.href.length));
      }
    }
  };
  await look(root);
  return found.toSorted();
}
