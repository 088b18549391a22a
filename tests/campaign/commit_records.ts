import type { CommittedChange } from "./committed.ts";
import { nameChange } from "./published.ts";

/** User records of one shard of a stream, in their order; those of a stream that was recreated behind the old one's. */
export interface ReadShard {
  /** Stream and shard. */
  readonly place: string;
  readonly stream: string;
  readonly texts: readonly string[];
}

// deno-lint-ignore no-explicit-any -- of our JSON format
type Json = any;

interface Expected {
  readonly changes: number;
  readonly tables: Readonly<Record<string, number>>;
  readonly messages: number;
}

/**
 * Holds the records of `--transaction-records` to what was committed: each shard that has some of a
 * transaction has one behind all that lies there of it, and it tells how much of it lies where.
 * `committed`: what the filters let pass.
 */
export function checkCommitRecords(
  committed: readonly CommittedChange[],
  shards: readonly ReadShard[],
): { readonly records: number; readonly findings: readonly string[] } {
  const findings: string[] = [];
  const places = new Map<string, Set<string>>();
  const streams = new Map<string, Set<string>>();
  for (const { place, stream, texts } of shards) {
    for (const xid of new Set(texts.filter((text) => !isCommit(text)).map(xidOf))) {
      addTo(places, xid, place);
      addTo(streams, xid, stream);
    }
  }
  const expected = countByXid(committed);
  let records = 0;
  for (const { place, texts } of shards) {
    const marked = new Set<string>();
    const isKnown = new Set<string>();
    for (const text of texts) {
      const xid = xidOf(text);
      if (!isCommit(text)) {
        const { name } = nameChange(text);
        if (marked.has(xid) && !isKnown.has(name)) {
          findings.push(`${place}: ${name} comes behind the end of its transaction`);
        }
        isKnown.add(name);
        continue;
      }
      records++;
      marked.add(xid);
      const { changes, tables, messages = 0, shards, streams: inStreams }: Json = JSON.parse(text);
      const told = JSON.stringify([changes, sorted(tables), messages, shards, inStreams]);
      const should = expected.get(xid);
      const is = JSON.stringify([
        should?.changes,
        sorted(should?.tables ?? {}),
        should?.messages,
        places.get(xid)?.size,
        streams.get(xid)?.size,
      ]);
      if (told !== is) findings.push(`${place}: the end of ${xid} says ${told}, not ${is}`);
    }
    for (const [xid, all] of places) {
      if (xid !== "-" && all.has(place) && !marked.has(xid)) {
        findings.push(`${place}: no end of the transaction ${xid}`);
      }
    }
  }
  return { records, findings };
}

function countByXid(committed: readonly CommittedChange[]): Map<string, Expected> {
  const byXid = Map.groupBy(committed, ({ name }) => name.split(" ")[0]!);
  return new Map(
    Array.from(byXid, ([xid, changes]) => {
      const tables: Record<string, number> = {};
      let messages = 0;
      for (const { name } of changes) {
        const [, operation, table = ""] = name.split(" ");
        if (operation === "message") messages++;
        else tables[table] = (tables[table] ?? 0) + 1;
      }
      return [xid, { changes: changes.length, tables, messages }];
    }),
  );
}

const isCommit = (text: string) => text.startsWith('{"v":1,"op":"commit",');

function xidOf(text: string): string {
  return String(JSON.parse(text).xid ?? "-");
}

const sorted = (tables: Json) => Object.entries(tables).toSorted(([a], [b]) => a < b ? -1 : 1);

function addTo(sets: Map<string, Set<string>>, key: string, value: string): void {
  const set = sets.get(key) ?? new Set();
  sets.set(key, set.add(value));
}
