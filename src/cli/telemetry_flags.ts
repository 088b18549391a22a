import { UsageError } from "../base/errors.ts";
import type { LagLimit, ListenAddress } from "../options.ts";
import { defaultedFlag, listFlag, optionalFlag, switchFlag } from "./flag.ts";
import { choice, duration, size, sizeBytes } from "../base/value_parsers.ts";

export const telemetryFlags = {
  metricsAddr: optionalFlag({
    name: "metrics-addr",
    category: "telemetry",
    commands: ["run", "check", "plan", "health"],
    placeholder: "HOST:PORT",
    short: "serve metrics, health and a page there",
    long:
      "Serve `/metrics` for Prometheus, `/healthz`, `/readyz` and, at `/`, a page with plots of " +
      "the last hour. Without a host (`9187` or `:9187`), only this machine can connect. Port 0 " +
      "selects a free port, which is logged. There is no login: anyone who can reach the port " +
      "can look.",
    parse: listenAddress,
  }),
  metricsHost: listFlag({
    name: "metrics-host",
    category: "telemetry",
    placeholder: "NAME",
    short: "a host name that clients may use for it",
    long:
      "A host name that requests to `--metrics-addr` may use, such as `bastion.internal`. May " +
      "be given several times. Addresses, `localhost` and the host of `--metrics-addr` are " +
      "always allowed. Any other name is refused (421): otherwise a web page could make its own " +
      "name point to this machine and read the metrics.",
    parse: hostName,
  }),
  readyLag: defaultedFlag({
    name: "ready-lag",
    category: "telemetry",
    placeholder: "LAG",
    defaultText: "1m",
    short: "/readyz: behind by at most 30s, or 64MB",
    long:
      "How far behind the run may be for `/readyz` to report ready: a time such as `30s` (the " +
      "age of the oldest commit that is not stored), or a size such as `64MB` (WAL from the " +
      "confirmed LSN to the server's end). 0: no limit.",
    parse: lagLimit,
  }),
  ready: switchFlag({
    name: "ready",
    category: "telemetry",
    commands: ["health"],
    inEnvironment: false,
    short: "ask /readyz instead of /healthz",
    long: "Ask whether the run is ready (`/readyz`) instead of whether it is alive (`/healthz`).",
  }),
  maxLagBytes: optionalFlag({
    name: "max-lag-bytes",
    category: "telemetry",
    placeholder: "SIZE",
    short: "warn if the slot retains more WAL than this",
    long:
      "Warn if the slot retains more WAL than this on the server's disk, such as `10GB` (units " +
      "as in PostgreSQL's settings). The warning is repeated every ten minutes; a line says " +
      "when it is over.",
    parse: size,
  }),
  onMaxLag: defaultedFlag({
    name: "on-max-lag",
    category: "telemetry",
    placeholder: "ACTION",
    defaultText: "warn",
    short: "beyond it: warn (default) or stop",
    long: "What to do beyond `--max-lag-bytes`: `warn`, or `stop` the run with exit code 1. " +
      "Stopping frees nothing: the server keeps the WAL until it is read or the slot is " +
      "dropped. Use it if your supervision acts on the exit before the disk is full.",
    parse: choice(["warn", "stop"]),
  }),
};

const LOOPBACK = "127.0.0.1";

/** `HOST:PORT`, `[IPV6]:PORT`, `:PORT` or `PORT`. */
function listenAddress(value: string): ListenAddress {
  const found = /^(?:(?:\[([0-9a-f:.]+)\]|([^:[\]\s/]*)):)?(\d{1,5})$/i.exec(value);
  const port = Number(found?.[3]);
  if (found !== null && port <= 65535) {
    return { hostname: found[1] || found[2] || LOOPBACK, port };
  }
  throw new UsageError(
    `${JSON.stringify(value)} is not HOST:PORT; write 127.0.0.1:9187, [::1]:9187 or 9187`,
  );
}

/** Without a port: it says who asks, not where to listen. */
function hostName(value: string): string {
  if (/^[^\s:/@[\]]+$/.test(value)) return value;
  throw new UsageError(
    `${JSON.stringify(value)} is not the name of a host; write it without a port, such as ` +
      "bastion.internal",
  );
}

const time = duration({ min: "1ms", max: "20d" });

function lagLimit(value: string): LagLimit | undefined {
  if (value === "0") return undefined;
  if (/[bB]$/.test(value)) {
    const bytes = sizeBytes(value);
    if (bytes !== undefined) return { kind: "bytes", bytes };
  }
  try {
    return { kind: "seconds", seconds: time(value) / 1000 };
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    throw new UsageError(
      `${JSON.stringify(value)} is neither a time nor a size; write 30s or 64MB`,
    );
  }
}
