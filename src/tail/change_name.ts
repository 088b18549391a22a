import { type Lsn, parseLsn } from "../base/lsn.ts";
import { asText } from "./render_record.ts";

/** What names a change of the JSON format, version 1 (`format/json.ts`). */
export type ChangeName =
  /** On one timeline the pairs of one partition key grow; a later timeline is behind an earlier one. */
  | {
    readonly kind: "ordered";
    readonly timeline: number;
    readonly commitLsn: Lsn;
    readonly seq: number;
    /** It is stored in every shard. */
    readonly isTruncate?: boolean;
    /** What a backfill read, or its end: no change of the transaction. */
    readonly isRead?: boolean;
    /** The end of its transaction (`--transaction-records`), once in each shard that has some of it. */
    readonly isCommit?: boolean;
  }
  /** test_decoding: a name for good, but xids do not grow in the order of the commits. */
  | {
    readonly kind: "unordered";
    readonly timeline: number;
    readonly xid: number;
    readonly seq: number;
    readonly isRead?: boolean;
    readonly isCommit?: boolean;
  }
  /** A message outside of any transaction: nothing names it. */
  | { readonly kind: "unnamed" };

/** Longer than what stands in front of `seq`. */
const HEAD_BYTES = 192;
/** As our own formatter writes it; JSON that is written otherwise is parsed as a whole. */
const HEAD =
  /^\{"v":1,"op":"([a-z]+)","xid":(\d{1,10}),"lsn":"[^"]*"(?:,"commit_lsn":"([^"]*)")?,"seq":(\d{1,15})(?:,"timeline":(\d{1,10}))?[,}]/;
/** Behind what names it: of what table it is. */
const TABLE = /,"schema":("(?:[^"\\]|\\.)*"),"table":("(?:[^"\\]|\\.)*")[,}]/;
const TABLE_BYTES = 1024;
const latin1 = new TextDecoder("latin1");

/** Undefined: the record is none of the JSON format. */
export function readChangeName(data: Uint8Array): ChangeName | undefined {
  if (data[0] !== 0x7B) return undefined;
  const head = HEAD.exec(latin1.decode(data.subarray(0, HEAD_BYTES)));
  if (head !== null) {
    const [, op, xid, commitLsn, seq, timeline = 1] = head;
    return nameOf(op!, Number(timeline), Number(xid), commitLsn, Number(seq));
  }
  const text = asText(data);
  if (text === undefined) return undefined;
  let change: Record<string, unknown>;
  try {
    change = JSON.parse(text);
  } catch {
    return undefined;
  }
  // Records of before this field was written are from before timelines were recorded.
  const { v, op, xid, seq, commit_lsn: commitLsn, timeline = 1 } = change;
  if (v !== 1 || typeof op !== "string") return undefined;
  if (xid === undefined && seq === undefined && op === "message") return { kind: "unnamed" };
  if (!isCount(seq) || !isCount(xid) || !isCount(timeline)) return undefined;
  if (commitLsn !== undefined && typeof commitLsn !== "string") return undefined;
  return nameOf(op, timeline, xid, commitLsn, seq);
}

function nameOf(
  op: string,
  timeline: number,
  xid: number,
  commitLsn: string | undefined,
  seq: number,
): ChangeName | undefined {
  const isRead = op === "read" || op === "backfill";
  const more = { ...isRead ? { isRead } : {}, ...op === "commit" ? { isCommit: true } : {} };
  if (commitLsn === undefined) return { kind: "unordered", timeline, xid, seq, ...more };
  try {
    const isTruncate = op === "truncate" || op === "backfill";
    const name = { timeline, commitLsn: parseLsn(commitLsn), seq, isTruncate };
    return { kind: "ordered", ...name, ...more };
  } catch {
    return undefined;
  }
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

/**
 * The table of a change of the JSON format, as our own formatter writes it: for comparing. Undefined
 * for a message, which has none.
 */
export function tableOf(data: Uint8Array): string | undefined {
  const head = TABLE.exec(latin1.decode(data.subarray(0, TABLE_BYTES)));
  return head === null ? undefined : `${head[1]}.${head[2]}`;
}
