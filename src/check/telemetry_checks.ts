import type { ListenAddress } from "../options.ts";
import type { Findings } from "./finding.ts";

/** How many ports above the one that is taken are tried, to name a free one. */
const NEIGHBOURS = 50;

/** Whether `--metrics-addr` can be listened on. */
export async function checkMetricsAddress(
  address: ListenAddress | undefined,
  findings: Findings,
): Promise<void> {
  if (address === undefined) return;
  const { addressText, whyNot } = await import("../telemetry/telemetry_server.ts");
  const failure = tryToListen(address);
  if (failure === undefined) {
    return findings.ok("metrics_addr", `${addressText(address)} can be listened on`);
  }
  findings.stop("metrics_addr", `cannot listen on ${addressText(address)}: ${whyNot(failure)}`, {
    kind: "options",
    options: `--metrics-addr ${addressText(freeAddress(address))}`,
  });
}

/** Undefined: it works. */
function tryToListen(address: ListenAddress): unknown {
  try {
    Deno.listen(address).close();
    return undefined;
  } catch (error) {
    return error;
  }
}

/** The next port that is free; of a host that this machine is not, the same port on its own. */
function freeAddress({ hostname, port }: ListenAddress): ListenAddress {
  for (const host of [hostname, "127.0.0.1"]) {
    for (let next = port; next <= Math.min(port + NEIGHBOURS, 65_535); next++) {
      const address = { hostname: host, port: next };
      if (tryToListen(address) === undefined) return address;
    }
  }
  return { hostname: "127.0.0.1", port: 0 };
}
