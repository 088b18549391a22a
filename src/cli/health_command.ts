import { probe } from "../telemetry/probe.ts";
import type { HealthOptions } from "./build_health_options.ts";
import { writeOut } from "./stdout.ts";

/** Prints what the run says of itself. Gives whether it is well. */
export async function health({ address, ready }: HealthOptions): Promise<boolean> {
  const { isWell, words } = await probe(address, ready ? "/readyz" : "/healthz");
  await writeOut(`${words}\n`);
  return isWell;
}
