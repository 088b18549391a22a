import { MissingSetting } from "../aws/session.ts";
import { RunError } from "../base/errors.ts";
import type { KinesisApi, StreamSummary } from "../kinesis/client/kinesis_api.ts";
import { askPatiently } from "../kinesis/client/ask_patiently.ts";
import type { CallerIdentity } from "../kinesis/client/caller_identity.ts";
import type { Clock } from "../base/clock.ts";
import type { ListedShard } from "../kinesis/client/listed_shard.ts";
import { parseStreamArn } from "../kinesis/client/stream_arn.ts";
import { streamProblem } from "../kinesis/stream/open_stream.ts";
import type { StreamOptions } from "../options.ts";
import type { Remedy } from "../base/problem.ts";
import { countOf } from "../base/quantity.ts";
import type { Findings } from "./finding.ts";
import { probePut, type ProbeResult } from "./put_probe.ts";

/** A person waits, and can try again. */
const PATIENCE_MS = 3_000;

export interface StreamCheckParts {
  /** @throws {RunError} when region or credentials are not found. */
  readonly connect: () => Promise<KinesisApi>;
  readonly identify: (region: string, signal: AbortSignal) => Promise<CallerIdentity>;
  readonly clock: Clock;
  readonly random: () => number;
  readonly signal: AbortSignal;
}

/** Looks at everything on AWS' side that could stop a run. */
export async function checkStream(
  options: StreamOptions,
  parts: StreamCheckParts,
  findings: Findings,
): Promise<void> {
  let api: KinesisApi;
  try {
    api = await parts.connect();
  } catch (error) {
    if (!(error instanceof RunError)) throw error;
    findings.stop("aws_settings", error.message, settingsRemedy(error));
    return;
  }
  try {
    findings.ok("aws_settings", `region ${api.region}, credentials found`);
    await new StreamChecks(options, parts, findings, api).run();
  } finally {
    api.close();
  }
}

/** What exists but cannot be used has its advice in the message: no other setting fixes it. */
function settingsRemedy(error: RunError): Remedy | undefined {
  if (!(error instanceof MissingSetting)) return undefined;
  return {
    kind: "command",
    command: {
      region: "export AWS_REGION=<region>",
      credentials: "export AWS_ACCESS_KEY_ID=<id> AWS_SECRET_ACCESS_KEY=<key>",
    }[error.what],
  };
}

class StreamChecks {
  #identity: CallerIdentity | undefined;
  #arn: string | undefined;

  constructor(
    private readonly options: StreamOptions,
    private readonly parts: StreamCheckParts,
    private readonly findings: Findings,
    private readonly api: KinesisApi,
  ) {}

  async run(): Promise<void> {
    await this.#checkIdentity();
    const summary = await this.#describe();
    if (summary === undefined) return;
    this.#arn = summary.arn;
    this.#checkSummary(summary);
    await this.#checkShards();
    await this.#checkPut();
    this.#checkEncryption(summary);
  }

  get #streamArn(): string {
    const arn = this.#arn ?? parseStreamArn(this.options.name)?.arn;
    if (arn !== undefined) return arn;
    const partition = this.#identity?.arn.split(":")[1] ?? "aws";
    const account = this.#identity?.account ?? "*";
    return `arn:${partition}:kinesis:${this.api.region}:${account}:stream/${this.options.name}`;
  }

  #allow(...actions: string[]): Remedy {
    return { kind: "policy", actions, resource: this.#streamArn };
  }

  async #checkIdentity(): Promise<void> {
    const { identify, signal } = this.parts;
    try {
      this.#identity = await identify(this.api.region, signal);
      const { arn, account } = this.#identity;
      this.findings.ok("aws_identity", `the credentials are those of ${arn}, account ${account}`);
    } catch (error) {
      signal.throwIfAborted();
      // A run never asks this, so it cannot fail by it.
      this.findings.warn(
        "aws_identity",
        `whose credentials these are is not known: sts:GetCallerIdentity failed (${
          firstLine(error)
        })`,
      );
    }
  }

  /** Undefined: the stream cannot be looked at further. */
  async #describe(): Promise<StreamSummary | undefined> {
    const { name, create, shardCount } = this.options;
    const { region } = this.api;
    const action = "kinesis:DescribeStreamSummary";
    try {
      return await this.#ask(
        "find",
        action,
        () => this.api.describeStream(name, this.parts.signal),
      );
    } catch (error) {
      if (causeName(error) !== "ResourceNotFoundException") {
        this.#refused("stream", error, action);
        return undefined;
      }
      if (!create) {
        this.findings.stop("stream", `there is no stream ${name} in ${region}`, {
          kind: "options",
          options: "--create-stream",
        });
        return undefined;
      }
      const size = shardCount === 0 ? "in on-demand mode" : `with ${countOf(shardCount, "shard")}`;
      this.findings.ok(
        "stream",
        `there is no stream ${name} in ${region}; a run creates it ${size}`,
      );
      this.findings.warn(
        "permissions",
        "whether the policy allows what a run does with the stream is not known before it is there",
        this.#allow("kinesis:CreateStream", action, "kinesis:ListShards", this.#putAction),
      );
      return undefined;
    }
  }

  #checkSummary(summary: StreamSummary): void {
    const { findings, options: { name }, api: { region } } = this;
    const { status, mode, maxRecordBytes } = summary;
    const problem = streamProblem(name, region, { status, distribution: undefined });
    if (status === "CREATING") {
      findings.warn("stream", `stream ${name} (${region}) is being created; a run waits for it`);
    } else if (problem !== undefined) findings.stop("stream", problem.found, problem.remedy);
    else findings.ok("stream", `${this.#streamArn} is ${status}`);
    findings.ok("stream_mode", mode);
    findings.ok("record_limit", `a record may have ${maxRecordBytes / 1024} KiB`);
    const spread = streamProblem(name, region, { ...summary, status: "ACTIVE" });
    if (spread !== undefined) findings.stop("record_distribution", spread.found, spread.remedy);
    else findings.ok("record_distribution", "by partition key");
  }

  async #checkShards(): Promise<void> {
    const { name } = this.options;
    const action = "kinesis:ListShards";
    let shards: readonly ListedShard[];
    try {
      shards = await this.#ask(
        "list the shards of",
        action,
        () => this.api.listShards(name, this.parts.signal),
      );
    } catch (error) {
      this.#refused("shards", error, action);
      return;
    }
    const open =
      shards.filter(({ SequenceNumberRange: range }) => range?.EndingSequenceNumber == undefined)
        .length;
    this.findings.ok(
      "shards",
      `${open} open, which take ${open} MiB and ${open}000 records a second`,
    );
  }

  get #putAction(): string {
    return this.options.aggregation === "kpl" ? "kinesis:PutRecord" : "kinesis:PutRecords";
  }

  async #checkPut(): Promise<void> {
    const { findings, parts } = this;
    const action = this.#putAction;
    let result: ProbeResult;
    try {
      result = await this.#ask(
        "put into",
        action,
        () => probePut(this.api, this.options, parts.signal),
      );
    } catch (error) {
      this.#refused("permissions", error, action);
      return;
    }
    switch (result) {
      case "not denied":
        return findings.ok(
          "permissions",
          `kinesis:DescribeStreamSummary and kinesis:ListShards are allowed, and ${action} is not ` +
            "denied (asked with a hash key that no shard has, which stores nothing)",
        );
      case "stored":
        return findings.warn("permissions", "the service took a record that Kinesis would refuse");
      case "unknown":
        return findings.warn(
          "permissions",
          `whether ${action} is allowed cannot be determined without a put`,
          this.#allow(action),
        );
      default:
        return result satisfies never;
    }
  }

  #checkEncryption({ kmsKey }: StreamSummary): void {
    if (kmsKey === undefined) return this.findings.ok("encryption", "none of the stream's own");
    if (/(^|:)alias\/aws\/kinesis$/.test(kmsKey)) {
      return this.findings.ok("encryption", "with the key that AWS keeps for Kinesis");
    }
    const partition = this.#arn?.split(":") ?? [];
    const resource = kmsKey.startsWith("arn:") || kmsKey === "unknown"
      ? kmsKey
      : `arn:${partition[1] ?? "aws"}:kms:${this.api.region}:${partition[4] ?? "*"}:${
        kmsKey.startsWith("alias/") ? "key/*" : `key/${kmsKey}`
      }`;
    this.findings.warn(
      "encryption",
      `with the KMS key ${kmsKey}; that it may be used shows only when a record is stored`,
      { kind: "policy", actions: ["kms:GenerateDataKey"], resource },
    );
  }

  #refused(check: string, error: unknown, action: string): void {
    if (!(error instanceof RunError)) throw error;
    const isDenied = /AccessDenied|NotAuthorized/.test(causeName(error) ?? "");
    this.findings.stop(check, error.message, isDenied ? this.#allow(action) : undefined);
  }

  #ask<T>(verb: string, action: string, call: () => Promise<T>): Promise<T> {
    const { clock, random, signal } = this.parts;
    const asked = { verb, stream: this.options.name, region: this.api.region, action };
    return askPatiently(asked, call, clock, random, signal, PATIENCE_MS);
  }
}

function causeName(error: unknown): string | undefined {
  return error instanceof RunError && error.cause instanceof Error ? error.cause.name : undefined;
}

function firstLine(error: unknown): string {
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  return `${name}: ${message}`.split("\n", 1)[0]!;
}
