import type { LagLimit } from "../options.ts";
import { formatBytes, formatSeconds } from "../base/quantity.ts";
import type { Snapshot } from "./run_snapshot.ts";

/** Why the run is not ready, in one line; undefined when it streams, and not too far behind. */
export function whyNotReady(now: Snapshot, limit: LagLimit | undefined): string | undefined {
  const since = formatSeconds((now.atMs - now.sinceMs) / 1000);
  switch (now.state) {
    case "starting":
      return `not streaming yet, ${since} after the start`;
    case "standby":
      return "standing by: the slot is followed by another client, or cannot be looked at";
    case "reconnecting":
      return `not connected to PostgreSQL for ${since}`;
    case "stopping":
      return "stopping";
    case "streaming":
      return limit === undefined ? undefined : whyBehind(now, limit);
    default:
      return now.state satisfies never;
  }
}

function whyBehind({ lag }: Snapshot, limit: LagLimit): string | undefined {
  const unknown = "how far it is behind is not known yet";
  switch (limit.kind) {
    case "seconds":
      if (lag.seconds === undefined) return unknown;
      return lag.seconds <= limit.seconds
        ? undefined
        : `behind by ${formatSeconds(lag.seconds)}; --ready-lag is ${formatSeconds(limit.seconds)}`;
    case "bytes":
      if (lag.bytes === undefined) return unknown;
      return lag.bytes <= limit.bytes
        ? undefined
        : `behind by ${formatBytes(lag.bytes)}; --ready-lag is ${formatBytes(limit.bytes)}`;
    default:
      return limit satisfies never;
  }
}
