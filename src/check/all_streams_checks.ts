import type { Clock } from "../base/clock.ts";
import { Permits } from "../base/permits.ts";
import { someOf } from "../base/quantity.ts";
import type { CallerIdentity } from "../kinesis/client/caller_identity.ts";
import type { KinesisApi } from "../kinesis/client/kinesis_api.ts";
import { parseStreamArn } from "../kinesis/client/stream_arn.ts";
import { Turns } from "../kinesis/client/turns.ts";
import type { RunOptions } from "../options.ts";
import { fixedStreams } from "../routes/route.ts";
import { type Finding, Findings } from "./finding.ts";
import type { StreamTables } from "./route_checks.ts";
import { checkStream } from "./stream_checks.ts";

/** Streams that are looked at at a time, and the pause between two: an account may ask 20 times a second. */
const AT_A_TIME = 4;
const INTERVAL_MS = 80;

export interface AllStreamsParts {
  /** @throws {RunError} when region or credentials are not found. */
  readonly connect: (region: string | undefined) => Promise<KinesisApi>;
  readonly identify: (region: string, signal: AbortSignal) => Promise<CallerIdentity>;
  readonly clock: Clock;
  readonly random: () => number;
  readonly signal: AbortSignal;
}

/**
 * Looks at every stream that the routes and the tables of today give. Of several each has one line when it
 * is fine, and what is not fine is said with its name.
 */
export async function checkAllStreams(
  { stream: options, format }: RunOptions,
  parts: AllStreamsParts,
  tables: Promise<StreamTables>,
  findings: Findings,
): Promise<void> {
  const { clock, random, signal } = parts;
  const identities = new Map<string, Promise<CallerIdentity>>();
  const identify = (region: string, signal: AbortSignal) => {
    const known = identities.get(region) ?? parts.identify(region, signal);
    identities.set(region, known);
    return known;
  };
  const look = async (name: string, found: Findings) => {
    const arn = parseStreamArn(name);
    const create = options.create && arn === undefined;
    await checkStream(
      { ...options, name, create },
      { ...{ identify, clock, random, signal }, connect: () => parts.connect(arn?.region) },
      found,
    );
  };
  if (format.routes.length === 0) return await look(options.name, findings);

  const found = await tables;
  const names = [...new Set([...fixedStreams(format.routes, options.name), ...found.keys()])];
  const permits = new Permits(AT_A_TIME);
  const turns = new Turns(clock, INTERVAL_MS);
  const all = await Promise.all(names.map(async (name) => {
    await permits.acquire();
    try {
      await turns.take(signal);
      signal.throwIfAborted();
      const own = new Findings();
      await look(name, own);
      return own.all;
    } finally {
      permits.release();
    }
  }));
  const told = new Set<string>();
  names.forEach((name, i) => report(name, found.get(name) ?? [], all[i]!, told, findings));
}

/** Whose settings and credentials they are is the same for all streams of a region. */
const SHARED_CHECKS = ["aws_settings", "aws_identity"];

function report(
  name: string,
  tables: readonly string[],
  own: readonly Finding[],
  told: Set<string>,
  findings: Findings,
): void {
  for (const finding of own.filter(({ check }) => SHARED_CHECKS.includes(check))) {
    if (told.has(finding.found)) continue;
    told.add(finding.found);
    findings.all.push(finding);
  }
  const about = own.filter(({ check }) => !SHARED_CHECKS.includes(check));
  const odd = about.filter(({ verdict }) => verdict !== "ok");
  const whose = tables.length === 0 ? "" : ` (${someOf(tables, 5)})`;
  for (const finding of odd) {
    const found = finding.found.includes(name) ? finding.found : `stream ${name}: ${finding.found}`;
    findings.all.push({ ...finding, found: found + whose });
  }
  if (odd.length > 0 || about.length === 0) return;
  const facts = ["stream_mode", "shards", "record_limit"].flatMap((check) =>
    about.find((finding) => finding.check === check)?.found ?? []
  );
  findings.ok("stream", `${[name + whose, ...facts].join(", ")}`);
}
