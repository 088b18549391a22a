import { formatLsn, type Lsn, parseLsn } from "../base/lsn.ts";
import {
  type DoneMessage,
  type MarkMessage,
  MAX_REQUEST_LENGTH,
  MAX_REQUESTS,
  MAX_TABLES,
  type OpenRequest,
  type OpenTable,
  type RequestMessage,
  type StopMessage,
} from "./control_message.ts";
import { oidsOf } from "./oid_distances.ts";

/** Where a control message stands in the stream. */
export interface Place {
  /** What may be confirmed so that its transaction is sent again. */
  readonly before: Lsn;
  /** Where its transaction ends. */
  readonly endLsn: Lsn;
}

/** Where a run goes on with the first request. */
export interface Resume {
  /** Where nobody knows what is left: tables with an OID up to this one have ended, but those that are open. */
  readonly upTo: number;
  readonly open: readonly OpenTable[];
  /** OIDs of the other tables that have not ended. */
  readonly left: ReadonlySet<number> | undefined;
  /** Partitions that were attached by older transactions are known; undefined: no table was looked up yet. */
  readonly since: number | undefined;
}

const NOTHING: Resume = { upTo: 0, open: [], left: undefined, since: undefined };
const EVERY_TABLE = "*";
/** Requests and stops that no mark has taken over; before a mark could, somebody may write any number of them. */
const MAX_ASKED = 256;
/** Units of the names that were stopped in one request. */
const MAX_EXCEPT_LENGTH = 8 * 1024;

type Asked = Place & { readonly message: RequestMessage | StopMessage };

/**
 * What is asked for, and from where a run goes on, by the control messages that the stream had so far.
 * What other runs say counts until this run has joined: from then on it alone says where it stands.
 */
export class Ledger {
  /** The first one is read. Grows and shrinks with the stream. */
  requests: OpenRequest[] = [];
  resume: Resume = NOTHING;
  /** Of the mark that was found; -1: none. */
  foundGeneration = -1;
  #foundTaken: Lsn = 0n;
  /** Before the newest mark that counts. */
  #newest: Lsn | undefined;
  /** Requests and stops behind what the newest mark contains. */
  #asked: Asked[] = [];
  /** Where the last transaction with a request or a stop ends. */
  taken: Lsn = 0n;

  /** What may be confirmed (B8): undefined where nothing is left. */
  get bound(): Lsn | undefined {
    const [first] = this.#asked;
    const newest = this.requests.length > 0 ? this.#newest : undefined;
    if (first === undefined) return newest;
    return newest === undefined || first.before < newest ? first.before : newest;
  }

  /** Whether a mark of ours is due, which takes over what was asked. */
  get hasUntaken(): boolean {
    return this.#asked.length > 0;
  }

  /** False: there are too many, and it is not taken. */
  ask(message: RequestMessage | StopMessage, place: Place): boolean {
    if (this.#asked.length >= MAX_ASKED) return false;
    this.#asked.push({ ...place, message });
    this.taken = place.endLsn;
    this.#apply(message, place);
    return true;
  }

  /** A mark of another run, found before this one joined: gives whether it counts. */
  find(mark: MarkMessage | DoneMessage, { before }: Place): boolean {
    const taken = parseLsn(mark.taken);
    const { generation } = mark;
    const isOlder = generation < this.foundGeneration ||
      generation === this.foundGeneration && taken < this.#foundTaken;
    if (isOlder) return false;
    this.foundGeneration = generation;
    this.#foundTaken = taken;
    this.#newest = before;
    this.requests = [...mark.requests];
    this.resume = mark.kind === "mark" ? resumeAt(mark) : NOTHING;
    this.#asked = this.#asked.filter(({ endLsn }) => endLsn > taken);
    if (taken > this.taken) this.taken = taken;
    for (const { message, ...place } of this.#asked) this.#apply(message, place);
    return true;
  }

  /** A mark of this run came back. */
  cameBack(mark: MarkMessage | DoneMessage, { before }: Place): void {
    const taken = parseLsn(mark.taken);
    this.#newest = before;
    this.#asked = this.#asked.filter(({ endLsn }) => endLsn > taken);
    if (mark.kind === "done") {
      this.requests = this.requests.filter(({ id }) => id !== mark.request);
      this.resume = NOTHING;
    }
  }

  #apply(message: RequestMessage | StopMessage, { endLsn }: Place): void {
    if (message.kind === "stop") {
      this.requests = this.requests.map((request) => without(request, message.tables));
      return;
    }
    const { tables, id: name = formatLsn(endLsn) } = message;
    let id = name;
    const namesake = () => this.requests.find((request) => request.id === id);
    for (let count = 2, other = namesake(); other !== undefined; count++, other = namesake()) {
      // Sent once more, as by somebody who did not hear whether it was stored.
      if (sameTables(other.tables, tables)) return;
      id = `${name} ${count}`;
    }
    const last = this.requests.at(-1);
    if (this.requests.length < MAX_REQUESTS || last === undefined) {
      this.requests.push({ id, tables });
    } else {
      this.requests[this.requests.length - 1] = merged(last, tables);
    }
  }
}

function resumeAt({ upTo, open, left, since }: MarkMessage): Resume {
  return { upTo, open, since, left: left && new Set(oidsOf(left)) };
}

/** More requests than can wait, which only somebody sends who means no good, become one. */
function merged(request: OpenRequest, tables: OpenRequest["tables"]): OpenRequest {
  if (request.tables === "all" || tables === "all") return { ...request, tables: "all" };
  const names = [...new Set([...request.tables, ...tables])];
  return { ...request, tables: isMuch(names, MAX_REQUEST_LENGTH) ? "all" : names };
}

function sameTables(left: OpenRequest["tables"], right: OpenRequest["tables"]): boolean {
  return left.length === right.length && JSON.stringify(left) === JSON.stringify(right);
}

/** A mark carries what waits, and must not outgrow what a run reads. */
function isMuch(names: readonly string[], maxLength: number): boolean {
  return names.length > MAX_TABLES ||
    names.reduce((sum, name) => sum + name.length, 0) > maxLength;
}

function without(request: OpenRequest, tables: StopMessage["tables"]): OpenRequest {
  const names = [
    ...new Set([...request.except ?? [], ...tables === "all" ? [EVERY_TABLE] : tables]),
  ];
  return { ...request, except: isMuch(names, MAX_EXCEPT_LENGTH) ? [EVERY_TABLE] : names };
}
