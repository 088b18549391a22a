import { assert, assertEquals, assertMatch } from "@std/assert";
import { Pg2kinesis } from "../support/pg2kinesis.ts";
import type { FreshDatabase } from "../support/shared_postgres.ts";
import { flagsFor } from "../support/following_program.ts";
import type { AwsGate } from "../support/aws_gate.ts";

export const STREAM = "stream";

/** Of a server at which nothing is to be found fault with. */
export const SETTINGS = { max_slot_wal_keep_size: "1GB" };

/** One check's world: flags and environment change as remedies say. */
export interface World {
  readonly db: FreshDatabase;
  readonly aws: AwsGate;
  flags: string[];
  env: Record<string, string>;
}

export function newWorld(db: FreshDatabase, aws: AwsGate, flags: readonly string[] = []): World {
  const world: World = { db, aws, flags: flagsFor(db, STREAM), env: { ...aws.env } };
  addFlags(world, flags);
  return world;
}

/** A flag may be given once: a new one stands for the usual one. */
export function addFlags(world: World, flags: readonly string[]): void {
  const names = flags.filter((flag) => /^-/.test(flag));
  const kept: string[] = [];
  for (let i = 0; i < world.flags.length; i++) {
    const takesValue = world.flags[i + 1] !== undefined && !/^-/.test(world.flags[i + 1]!);
    // `--no-slot-failover` takes the place of `--slot-failover`.
    if (
      ![world.flags[i]!, world.flags[i]!.replace(/^--/, "--no-")].some((each) =>
        names.includes(each)
      )
    ) {
      kept.push(...world.flags.slice(i, i + (takesValue ? 2 : 1)));
    }
    if (takesValue) i++;
  }
  world.flags = [...kept, ...flags];
}

/** A line of the report. */
export interface Line {
  readonly mark: "✓" | "!" | "✗";
  readonly check: string;
  readonly found: string;
  readonly remedy: string | undefined;
}

export interface Checked {
  readonly code: number;
  readonly lines: readonly Line[];
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `pg2kinesis check` and takes its lines apart. */
export async function check(world: World): Promise<Checked> {
  const { code, stdout, stderr } = await Pg2kinesis.run(["check", ...world.flags], {
    env: world.env,
  });
  assert(code !== 2, stderr);
  const [verdict, ...reversed] = stdout.split("\n").slice(0, -1).reverse();
  const lines = reversed.reverse().map((text) => {
    const line = /^(?<mark>[✓!✗]) (?<check>\w+): (?<found>.*?)( → (?<remedy>.*))?$/.exec(text);
    if (line === null) throw new Error(`not a line of a report: ${text}`);
    return line.groups as unknown as Line;
  });
  assert(lines.length > 0, stderr);
  assertEquals(code, lines.some(({ mark }) => mark === "✗") ? 1 : 0, stdout);
  assertMatch(
    verdict!,
    code === 0 ? /^[✓!] verdict: nothing would stop/ : /^✗ verdict: \d+ problems? would/,
  );
  return { code, lines, stdout, stderr };
}

/** Does what the report printed behind its arrow, to the letter. */
export async function obey(world: World, remedy: string): Promise<void> {
  const { db, aws } = world;
  const [, main, then] = /^(.*?)(?: \(then (.*)\))?$/.exec(remedy) as unknown as string[];
  if (/^(ALTER|CREATE|GRANT|REVOKE|SELECT|ROLLBACK) /.test(main!)) {
    for (const statement of main!.split(/(?<=;) /)) await db.sql(statement);
  } else if (main!.startsWith("--")) {
    addFlags(world, main!.split(" "));
  } else if (main!.startsWith("{")) {
    const { Effect, ...allowed } = JSON.parse(main!);
    assertEquals(Effect, "Allow");
    aws.policy!.push(allowed);
  } else if (main!.startsWith("psql ")) {
    const { port, superuser } = db.server;
    const { success, stderr } = await new Deno.Command("sh", {
      args: ["-c", main!],
      env: { PGHOST: "127.0.0.1", PGPORT: String(port), PGUSER: superuser },
    }).output();
    assert(success, new TextDecoder().decode(stderr));
  } else if (main!.startsWith("export ")) {
    for (const [, name, value] of main!.matchAll(/(\w+)=(\S+)/g)) {
      // What stands in angle brackets is the reader's to fill in.
      world.env[name!] = value!.startsWith("<") ? aws.env[name!]! : value!;
    }
  } else if (main!.startsWith("add to pg_hba.conf: ")) {
    const path = `${db.server.dataDir}/pg_hba.conf`;
    const line = main!.slice("add to pg_hba.conf: ".length);
    await Deno.writeTextFile(path, `${line}\n`, { append: true });
  } else throw new Error(`nothing that can be done: ${remedy}`);

  if (then === undefined || then === "fill the gap from the tables") return;
  // The roles that this is about are the reader's to name.
  if (then.startsWith("GRANT EXECUTE on it to the roles")) return;
  if (then === "restart the server") await db.server.restart();
  else if (/^SELECT /.test(then)) await db.sql(then);
  else throw new Error(`nothing that can be done: ${then}`);
}
