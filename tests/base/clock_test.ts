import { assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
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
  const root = new URL("../../src/", import.meta.url);
  const found: string[] = [];
  const look = async (directory: URL) => {
    for await (const { name, isDirectory } of Deno.readDir(directory)) {
      const url = new URL(isDirectory ? `${name}/` : name, directory);
      if (isDirectory) await look(url);
      else if (name.endsWith(".ts") && name !== "clock.ts") {
        const text = await Deno.readTextFile(url);
        if (/Date\.now\b|new Date\(\)|performance\.now/.test(text)) found.push(fromFileUrl(url));
      }
    }
  };
  await look(root);
  assertEquals(found, []);
});
