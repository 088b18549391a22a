import { Buffer } from "node:buffer";
import { FaultPlan } from "../support/fault_server/fault_plan.ts";
import { FaultyService } from "../support/fault_server/faulty_service.ts";
import { serveFaults } from "../support/fault_server/http_server.ts";
import { KinesisService } from "../support/fault_server/kinesis_service.ts";
import { throttled } from "../support/fault_server/service_error.ts";
import type { StreamState } from "../support/fault_server/stream_state.ts";
import { randomFrom } from "../support/random.ts";
import { takeApart } from "../support/read_back.ts";
import type { TestPostgres } from "../support/test_postgres.ts";
import { sleep } from "../support/wait.ts";
import { checkCommitRecords, type ReadShard } from "./commit_records.ts";
import { ConfirmedSampler } from "./confirmed_samples.ts";
import { type DumpedRecord, type DumpedShard, STREAM } from "./fault_server_process.ts";
import type { Proof } from "./proof.ts";
import { readPublished } from "./published.ts";
import { finish } from "./run_scenario.ts";
import { SingleSite } from "./single_site.ts";
import { Supervisor } from "./supervisor.ts";
import { verify } from "./verify.ts";
import { Workload } from "./workload.ts";

/** Of one table, by a template; the one that is deleted. */
const ACCOUNTS = "app.public.accounts";
/** Of the other table, by no route; it takes next to nothing. */
const SLOW = STREAM;
/** Of logical messages. */
const EVENTS = "events";
const STREAMS = [ACCOUNTS, SLOW, EVENTS];
const SHARDS = 4;
const REFUSED_BY_SLOW = 0.8;
/** What comes before the stream's next change may have to go through the slow stream. */
const END_TIMEOUT_MS = 300_000;

/**
 * A kill -9; or the stream is deleted, made again only after the program has ended twice because of it; or
 * it is deleted and made again at once. `ms` after the program followed the slot.
 */
export interface StreamBlow {
  readonly kind: "kill" | "delete" | "recreate";
  readonly ms: number;
}

export interface SeveralStreams {
  readonly findings: readonly string[];
  readonly changes: number;
  readonly lost: number;
  readonly outOfOrder: number;
  readonly duplicates: number;
  /** Records of transactions' ends that were held to what was committed. */
  readonly commitRecords: number;
  /** Puts into the slow stream that were refused. */
  readonly refused: number;
}

/** Three streams of four shards that outlive their deletion, for whoever looks at them in the end. */
class Streams {
  readonly service = new KinesisService();
  /** By name, the first one first. */
  readonly generations = new Map<string, StreamState[]>();
  readonly faulty: FaultyService;
  refused = 0;
  /** Of the next put into this one nothing is taken: the program looks at the stream. */
  #doubted: string | undefined;
  isSlow = true;

  constructor(random: () => number) {
    const chances = { "cut-after": 0.05, "error-after": 0.03, error: 0.03 };
    this.faulty = new FaultyService(this.service, new FaultPlan({ random, chances }), sleep);
    this.faulty.onCall = (operation, { StreamName }) => {
      if (!operation.startsWith("PutRecord")) return;
      if (this.isSlow && StreamName === SLOW && random() < REFUSED_BY_SLOW) {
        this.refused++;
        throw throttled("of the slow stream");
      }
      if (StreamName !== this.#doubted) return;
      this.#doubted = undefined;
      throw throttled("of the stream that was made again");
    };
    for (const name of STREAMS) this.create(name);
  }

  create(name: string): void {
    this.service.call("CreateStream", { StreamName: name, ShardCount: SHARDS });
    this.generations.set(name, [...this.generations.get(name) ?? [], this.service.stream(name)]);
  }

  delete(name: string): void {
    this.service.call("DeleteStream", { StreamName: name });
  }

  recreate(name: string): void {
    this.delete(name);
    this.create(name);
    this.#doubted = name;
  }

  endFaults(): void {
    this.isSlow = false;
    this.faulty.plan.settings = { ...this.faulty.plan.settings, chances: {} };
  }

  /** All that was ever stored, a recreated stream as what follows the shards of the old one. */
  dump(name: string): { readonly records: DumpedRecord[]; readonly shards: DumpedShard[] } {
    const records: DumpedRecord[] = [];
    const shards: DumpedShard[] = [];
    this.generations.get(name)!.forEach((stream, n) => {
      for (const { id, start, end } of stream.shards) {
        const parents = n === 0 ? [] : [`${n - 1} ${id}`];
        shards.push({ id: `${n} ${id}`, start: String(start), end: String(end), parents });
      }
      for (const { data, shardId, ...put } of stream.records) {
        const text = Buffer.from(data).toString("base64");
        records.push({ ...put, data: text, shardId: `${n} ${shardId}` });
      }
    });
    return { records, shards };
  }

  /** The user records of each shard, those of a recreated stream behind the old one's. */
  read(name: string): ReadShard[] {
    const generations = this.generations.get(name)!;
    return generations[0]!.shards.map(({ id }) => ({
      place: `${name} ${id}`,
      stream: name,
      texts: generations.flatMap((stream) =>
        stream.shards.find((shard) => shard.id === id)!.records.flatMap((put) =>
          takeApart({ ...put, data: new Uint8Array(put.data) }).map(({ text }) => text)
        )
      ),
    }));
  }
}

/**
 * The program publishes two tables and messages to three streams, one of which is throttled to a trickle
 * and another deleted, with kills: held to what PostgreSQL says was committed, each stream for itself, and the
 * records of transactions' ends across them.
 */
export async function runSeveralStreams(
  server: TestPostgres,
  { seed, writers, aggregation, blows }: {
    readonly seed: number;
    readonly writers: number;
    readonly aggregation: "kpl" | "none";
    readonly blows: readonly StreamBlow[];
  },
): Promise<SeveralStreams> {
  await using site = await SingleSite.open(server, "pgoutput");
  const streams = new Streams(randomFrom(seed));
  await using kinesis = serveFaults(streams.faulty);
  await using supervisor = new Supervisor([
    ...[...site.flags, "-f", "JSON", "--aggregation", aggregation, "--transaction-records"],
    ...["--message-prefix", "told", "--route", `message:told=${EVENTS}`],
    ...["--route", "*.accounts=app.{schema}.{table}"],
  ], {
    AWS_ENDPOINT_URL_KINESIS: kinesis.endpoint,
    AWS_REGION: "us-east-1",
    AWS_ACCESS_KEY_ID: "AKIACAMPAIGNCAMPAIGN",
    AWS_SECRET_ACCESS_KEY: "campaign-secret",
  });
  await using sampler = new ConfirmedSampler(site.server, site.slot);
  const findings: string[] = [];
  const workload = new Workload(site.server, site.database, {
    ...{ seed, writers, rowsPerWriter: 20, writerPauseMs: 30 },
    extras: ["truncate", "messages", "two-phase"],
  });
  try {
    for (const { kind, ms } of blows) {
      await supervisor.following();
      await supervisor.run(ms);
      if (kind === "kill") {
        await supervisor.kill9();
      } else if (kind === "recreate") {
        // A run that has not opened it yet knows nothing of the old one.
        await supervisor.program!.waitForLog(/stream app\.public\.accounts in /, END_TIMEOUT_MS);
        streams.recreate(ACCOUNTS);
        await ends(/stream app\.public\.accounts .*was deleted and recreated/);
      } else {
        streams.delete(ACCOUNTS);
        await ends(/stream app\.public\.accounts /);
        await supervisor.revive();
        await ends(/cannot find stream app\.public\.accounts .*public\.accounts goes there by/);
        streams.create(ACCOUNTS);
      }
    }
    await supervisor.following();
    await supervisor.run(1_000);
  } finally {
    await workload.stop();
  }
  streams.endFaults();
  const isFinished = await finish(site, supervisor, findings);
  if (supervisor.program !== undefined) await supervisor.stop();
  await sampler[Symbol.asyncDispose]();

  const committed = await site.committed((prefix) => prefix === "told");
  const sum = { lost: 0, outOfOrder: 0, duplicates: 0 };
  for (const stream of STREAMS) {
    const { records, shards } = streams.dump(stream);
    const verdict = verify({
      committed: committed.filter(({ row }) => streamOf(row) === stream),
      published: readPublished(records, shards).filter(({ name }) => !/^\S+ commit /.test(name)),
      samples: sampler.samples,
      ...{ aggregation, shards, isFinished, putsPerLane: 1, mayDuplicate: true },
    });
    findings.push(...verdict.findings.map((finding) => `${stream}: ${finding}`));
    sum.lost += verdict.lost;
    sum.outOfOrder += verdict.outOfOrder;
    sum.duplicates += verdict.duplicates;
  }
  const commits = checkCommitRecords(committed, STREAMS.flatMap((stream) => streams.read(stream)));
  findings.push(...supervisor.findings, ...commits.findings.slice(0, 5));
  return {
    ...{ findings, ...sum },
    changes: committed.length,
    commitRecords: commits.records,
    refused: streams.refused,
  };

  /** The program ends by itself, saying why. */
  async function ends(why: RegExp): Promise<void> {
    supervisor.excuseEnd();
    const program = supervisor.program!;
    const code = await program.waitForExit(END_TIMEOUT_MS);
    const last = program.stderr.trimEnd().split("\n").at(-1) ?? "";
    if (code !== 1 || !why.test(last)) findings.push(`it ended with ${code}, not ${why}: ${last}`);
  }
}

function streamOf(row: string): string {
  if (row.startsWith("message ")) return EVENTS;
  return row.startsWith("public.accounts ") ? ACCOUNTS : SLOW;
}

const KILLS = 20;

/** Twenty kills -9, and a stream that is deleted four times, with and without aggregation. */
export async function proveSeveralStreams(server: TestPostgres): Promise<Proof> {
  const lines: string[] = [];
  let isProven = true;
  for (const aggregation of ["kpl", "none"] as const) {
    const random = randomFrom(1);
    const kinds = Array.from({ length: KILLS }, (_, n): StreamBlow["kind"][] => {
      if (n % 10 === 4) return ["kill", "delete"];
      return n % 10 === 8 ? ["kill", "recreate"] : ["kill"];
    });
    const blows = kinds.flat().map((kind): StreamBlow => ({ kind, ms: random() ** 2 * 2_000 }));
    const result = await runSeveralStreams(server, { seed: 1, writers: 4, aggregation, blows });
    const { changes, lost, outOfOrder, duplicates, commitRecords, refused, findings } = result;
    lines.push(
      `aggregation ${aggregation}: ${changes} changes: ${lost} lost, ${outOfOrder} out of order, ` +
        `${duplicates} duplicates; ${commitRecords} ends of transactions; ${refused} puts refused`,
      ...findings,
    );
    isProven &&= findings.length === 0;
  }
  return { lines, isProven };
}
