import { parseExposition } from "./exposition.ts";
import type { Pg2kinesis } from "./pg2kinesis.ts";

/** Where a program started with `--metrics-addr 0` listens, as its log says. */
export async function telemetryUrl(program: Pg2kinesis): Promise<string> {
  const [, url] = await program.waitForLog(/page to look at: (http:\/\/\S+\/)/);
  return url!;
}

/** Answers of the program, whose connections are not kept. */
export async function get(url: string): Promise<{ status: number; text: string }> {
  const response = await fetch(url, { headers: { connection: "close" } });
  return { status: response.status, text: await response.text() };
}

/** `/metrics` as numbers by their whole name, `pg2kinesis_put_retries_total{reason="throttled"}`. */
export async function scrape(url: string): Promise<Map<string, number>> {
  const { text } = await get(`${url}metrics`);
  const samples = parseExposition(text).flatMap(({ samples }) => samples);
  return new Map(samples.map(({ name, labels, value }) => {
    const pairs = Object.entries(labels).map(([label, text]) => `${label}=${JSON.stringify(text)}`);
    return [pairs.length === 0 ? name : `${name}{${pairs.join(",")}}`, value];
  }));
}
