import { assert, assertEquals } from "@std/assert";
import { BackfillState } from "../../src/backfill/backfill_state.ts";
import { Part } from "../../src/backfill/chunk.ts";
import {
  type ControlMessage,
  MAX_CONTROL_BYTES,
  MAX_REQUESTS,
  parseControlMessage,
  printControlMessage,
} from "../../src/backfill/control_message.ts";
import { doneMessage, markMessage } from "../../src/backfill/mark.ts";
import type { ReadPlan } from "../../src/backfill/read_plan.ts";
import { ReadRow } from "../../src/backfill/read_row.ts";
import { BackfillStage } from "../../src/backfill/stage.ts";
import { TableRead } from "../../src/backfill/table_read.ts";
import type { Lsn } from "../../src/base/lsn.ts";
import type { RecordWriter, Ticket } from "../../src/base/record_writer.ts";
import { Checkpoint } from "../../src/checkpoint.ts";
import {
  BACKFILL_PREFIX,
  type Column,
  type RowChange,
  type TransactionInfo,
  type Truncate,
  UNCHANGED,
} from "../../src/decode/event.ts";
import type { Change } from "../../src/format/formatter.ts";
import type { Catalog } from "../../src/postgres/catalog/known_table.ts";
import type { Publisher } from "../../src/publisher.ts";
import { VirtualClock } from "../support/virtual_clock.ts";

const RELATION = { schema: "public", table: "t", qualifiedName: "public.t" };
const COLUMN = { type: "text", fullType: "text", isBoolean: false, isFloating: false };
const PLAN = {
  facts: { name: "public.t", ancestors: [] },
  relation: RELATION,
  key: [{ name: "id" }],
  primaryKey: ["id"],
  columns: ["id", "v", "big"].map((name) => (
    { ...COLUMN, name, generated: "", shownType: "text" }
  )),
  filter: undefined,
} as unknown as ReadPlan;

/** A stream of transactions through the stage, with a table whose rows can be laid in its hand. */
class Stream {
  readonly state = new BackfillState();
  readonly checkpoint = new Checkpoint(0n);
  readonly table = new TableRead(16384, "public.t", undefined);
  /** What was published, as text, in order. */
  readonly published: string[] = [];
  readonly stage: BackfillStage;
  #lsn = 100n;

  constructor(options: { readonly fits?: boolean } = {}) {
    this.table.plan = PLAN;
    this.stage = new BackfillStage({
      slot: "s",
      plugin: "test_decoding",
      state: this.state,
      catalog: { version: 1, table: () => undefined } as unknown as Catalog,
      publisher: {
        publishRead: (change: Change) => void this.published.push(show(change)),
        fits: () => options.fits ?? true,
      } as unknown as Publisher,
      writer: { flush: () => Promise.resolve() } as unknown as RecordWriter,
      checkpoint: this.checkpoint,
      isWanted: () => true,
      clock: new VirtualClock(),
    });
    this.stage.restarted(undefined);
  }

  /** One transaction, all of which is stored at once; gives where it ended. */
  async transaction(
    xid: number,
    changes: readonly ((transaction: TransactionInfo) => RowChange | Truncate | ControlMessage)[],
  ): Promise<Lsn> {
    const transaction = { xid, timeline: 1, commitLsn: this.#lsn, commitTime: 0n };
    this.stage.begin();
    const ticket: Ticket = this.checkpoint.begin();
    for (const make of changes) {
      const change = make(transaction);
      if ("slot" in change) {
        const content = new TextEncoder().encode(printControlMessage(change));
        this.stage.control({
          ...{ kind: "message", lsn: this.#lsn, transaction, seq: 0, content },
          prefix: BACKFILL_PREFIX,
        });
      } else {
        this.published.push(show(this.stage.change(change)));
      }
    }
    const endLsn = this.#lsn += 10n;
    await this.stage.commit({ kind: "commit", transaction, endLsn, commitTime: 0n }, ticket);
    this.checkpoint.commit(endLsn);
    return endLsn;
  }

  /** Asks for the table, with the run joined and the table looked up. */
  async begin(): Promise<void> {
    await this.transaction(1, [() => REQUEST]);
    this.state.hasJoined = true;
    this.state.setTables([this.table], "r");
  }

  /** Lays rows in hand as if they were read by a snapshot that sees xids below `seenBelow`. */
  read(seenBelow: number, rows: readonly (readonly string[])[], isScanned = false): number {
    const { state, table } = this;
    const snapshot = (xid: number) => xid < seenBelow;
    state.noted.forget(snapshot);
    const number = state.takeNumber();
    const read = rows.map((values) =>
      new ReadRow(
        PLAN,
        { columns: values, key: [values[0]!], keyValues: [values[0]!], passes: true },
        "test_decoding",
      )
    );
    const part = new Part(
      { table, rows: read, isScanned, again: undefined, round: table.round },
      snapshot,
      state.noted.of("public.t"),
    );
    table.beganMs = 0;
    state.chunk = { number, request: "r", snapshot, parts: [part] };
    return number;
  }

  mark(xid: number, number: number): Promise<Lsn> {
    const message = markMessage(this.state, "s", number, this.checkpoint.storedLsn, NOTHING_HIDDEN);
    return this.transaction(xid, [() => message]);
  }
}

const NOTHING_HIDDEN = () => new Set<string>();
const REQUEST: ControlMessage = { kind: "request", slot: "s", id: "r", tables: ["public.t"] };

function row(
  kind: "insert" | "update" | "delete",
  values: readonly (string | typeof UNCHANGED)[] | undefined,
  oldKey?: string,
) {
  return (transaction: TransactionInfo): RowChange => {
    const newRow = values?.map((value, index): Column => (
      { name: PLAN.columns[index]!.name, type: "text", value }
    ));
    const oldRow = oldKey === undefined ? undefined : [{ name: "id", type: "text", value: oldKey }];
    return {
      ...{ kind, transaction, lsn: 0n, seq: 0, relation: RELATION, definedBy: 0 },
      ...{ keyNames: undefined, newRow, oldRow },
      newColumn: (name) => newRow?.find((column) => column.name === name),
      oldColumn: (name) => oldRow?.find((column) => column.name === name),
    };
  };
}

function show(change: Change): string {
  if (change.kind === "backfill") return `end ${change.rows} ${change.complete}`;
  if (change.kind === "truncate" || change.kind === "message") return change.kind;
  const values = change.newRow?.map(({ value }) => value === UNCHANGED ? "?" : value).join(" ");
  return `${change.kind} ${values ?? String(change.oldRow![0]!.value)}`;
}

Deno.test("BackfillStage publishes rows where their mark comes back, and the end behind them", async () => {
  const stream = new Stream();
  await stream.begin();
  const number = stream.read(10, [["1", "a", "x"], ["2", "b", "y"]], true);
  await stream.transaction(11, [row("insert", ["3", "c", "z"])]);
  await stream.mark(12, number);
  assertEquals(stream.published, ["insert 3 c z", "read 1 a x", "read 2 b y", "end 2 true"]);
});

Deno.test("BackfillStage lets an unseen change take its row out, whole (B5)", async () => {
  const stream = new Stream();
  await stream.begin();
  const number = stream.read(10, [["1", "a", "x"], ["2", "b", "y"], ["3", "c", "z"]]);
  await stream.transaction(11, [
    row("update", ["1", "new", UNCHANGED]),
    row("delete", undefined, "2"),
  ]);
  await stream.mark(12, number);
  assertEquals(stream.published, ["update 1 new x", "delete 2", "read 3 c z"]);
});

Deno.test("BackfillStage leaves the rows of a table alone whose name another gives, too, with its schema's", async () => {
  const stream = new Stream();
  stream.table.plan = {
    ...PLAN,
    relation: { schema: "a", table: "b.t", qualifiedName: "a.b.t" },
  };
  await stream.begin();
  const number = stream.read(10, [["1", "a", "x"], ["2", "b", "y"]]);
  const other = { schema: "a.b", table: "t", qualifiedName: "a.b.t" };
  await stream.transaction(11, [
    (transaction) => ({ ...row("delete", undefined, "1")(transaction), relation: other }),
    (transaction) => ({
      ...{ kind: "truncate", transaction, lsn: 0n, seq: 1 },
      ...{ relations: [other], cascade: false, restartIdentity: false },
    }),
  ]);
  await stream.mark(12, number);
  assertEquals(stream.published, ["delete 1", "truncate", "read 1 a x", "read 2 b y"]);
});

Deno.test("BackfillStage leaves a row alone whose change the snapshot sees", async () => {
  const stream = new Stream();
  await stream.begin();
  const number = stream.read(10, [["1", "new", "x"]]);
  await stream.transaction(9, [row("update", ["1", "new", UNCHANGED])]);
  await stream.mark(12, number);
  assertEquals(stream.published, ["update 1 new ?", "read 1 new x"]);
});

Deno.test("BackfillStage reads a row again that an unseen change touched before it arrived (B4)", async () => {
  const stream = new Stream();
  await stream.begin();
  await stream.transaction(11, [row("update", ["1", "new", UNCHANGED])]);
  const number = stream.read(10, [["1", "old", "x"], ["2", "b", "y"]], true);
  await stream.mark(12, number);
  assertEquals(stream.published, ["update 1 new ?", "read 2 b y"]);
  assertEquals([...stream.table.again.keys()], ["1"]);
});

Deno.test("BackfillStage writes a moved key down that lacks values (B7)", async () => {
  const stream = new Stream();
  await stream.begin();
  await stream.transaction(11, [row("update", ["5", "new", UNCHANGED], "1")]);
  await stream.transaction(12, [row("update", ["6", "new", "whole"], "2")]);
  assertEquals([...stream.table.again.keys()], ["5"]);
});

Deno.test("BackfillStage begins a table anew where keys to be read again would fill the memory", async () => {
  const stream = new Stream();
  await stream.begin();
  const long = "x".repeat(1_000_000);
  for (let id = 0; id < 16; id++) {
    await stream.transaction(11 + id, [row("update", [long + id, "new", UNCHANGED], `${id}`)]);
  }
  assertEquals([stream.table.again.size, stream.table.round], [16, 0]);
  await stream.transaction(30, [row("update", [`${long}y`, "new", UNCHANGED], "17")]);
  assertEquals([stream.table.again.size, stream.table.round], [0, 1]);
});

Deno.test("BackfillStage reads again what a TRUNCATE that the snapshot does not see empties meanwhile", async () => {
  const stream = new Stream();
  await stream.begin();
  const number = stream.read(10, [["1", "a", "x"]], true);
  await stream.transaction(11, [
    (transaction) => ({
      ...{ kind: "truncate", transaction, lsn: 0n, seq: 0, relations: [RELATION] },
      ...{ cascade: false, restartIdentity: false },
    }),
  ]);
  await stream.mark(12, number);
  assertEquals([stream.published, stream.table.isScanned], [["truncate"], false]);
  // Nor does a read that has not arrived yet.
  const later = stream.read(11, [["1", "a", "x"]], true);
  await stream.mark(13, later);
  assertEquals(stream.published, ["truncate"]);
});

Deno.test("BackfillStage leaves a change unfilled that would be too large, and reads its row again", async () => {
  const stream = new Stream({ fits: false });
  await stream.begin();
  const number = stream.read(10, [["1", "a", "x"]]);
  await stream.transaction(11, [row("update", ["1", "new", UNCHANGED])]);
  await stream.mark(12, number);
  assertEquals(stream.published, ["update 1 new ?"]);
  assertEquals([...stream.table.again.keys()], ["1"]);
});

Deno.test("BackfillStage keeps what a restart needs from being confirmed (B8)", async () => {
  const stream = new Stream();
  const { checkpoint } = stream;
  const before = await stream.transaction(5, [row("insert", ["9", "", ""])]);
  await stream.begin();
  assertEquals(checkpoint.flushLsn, before, "the request is held");
  checkpoint.mark(125n);
  assertEquals(checkpoint.flushLsn, before, "against a keepalive, too");
  await stream.transaction(7, [row("insert", ["8", "", ""])]);
  const number = stream.read(10, [["1", "a", "x"]]);
  await stream.mark(12, number);
  const held = checkpoint.flushLsn;
  assertEquals(held > before, true, "the mark took it over");
  // A moved key that lacks values needs the mark that is the newest now.
  await stream.transaction(13, [row("update", ["5", "new", UNCHANGED], "1")]);
  await stream.mark(14, stream.read(11, []));
  assertEquals(checkpoint.flushLsn, held, "until the key was read");
  stream.table.again.clear();
  await stream.mark(15, stream.read(14, []));
  assertEquals(checkpoint.flushLsn > held, true);
  const done = doneMessage(stream.state, "s", stream.state.takeNumber(), "r");
  const last = await stream.transaction(16, [() => done]);
  assertEquals(checkpoint.flushLsn, last, "done frees it");
});

Deno.test("markMessage claims nothing that is not stored", async () => {
  const stream = new Stream();
  await stream.begin();
  const { state, table } = stream;
  await stream.transaction(11, [row("update", ["2", "new", UNCHANGED])]);
  const endLsn = await stream.mark(12, stream.read(10, [["1", "a", "x"], ["2", "b", "y"]]));
  const after = (storedLsn: Lsn, hidden: readonly string[] = []) =>
    markMessage(state, "s", 99, storedLsn, () => new Set(hidden)).open[0]?.after;
  assertEquals(table.after, ["2"]);
  assertEquals(after(endLsn), undefined, "a row of it is to be read again");
  table.steps[0]!.again.clear();
  assertEquals(after(endLsn - 1n), undefined, "its rows are on their way");
  assertEquals(after(endLsn), ["2"]);
  assertEquals(after(endLsn, ["v"]), ["2"]);
  // Also where the key became another one, or a rule met the table, after it was looked up.
  assertEquals(after(endLsn, ["id"]), undefined, "every slot of the database reads it");
});

Deno.test("BackfillStage drops what was read of a table that is begun anew meanwhile", async () => {
  const stream = new Stream();
  await stream.begin();
  const number = stream.read(10, [["1", "a", "x"], ["2", "b", "y"]], true);
  stream.state.beginAnew(stream.table);
  await stream.mark(12, number);
  assertEquals([stream.published, stream.table.after, stream.table.isScanned], [
    [],
    undefined,
    false,
  ]);
  // Of a read that had begun before.
  const { round } = stream.table;
  const late = new Part(
    { table: stream.table, rows: [], isScanned: true, again: undefined, round: round - 1 },
    () => true,
    [],
  );
  assertEquals(late.isVoid, true);
});

Deno.test("BackfillStage gives up a mark that a ping has overtaken", async () => {
  const stream = new Stream();
  await stream.begin();
  const { state } = stream;
  const number = stream.read(10, [["1", "a", "x"]]);
  state.mark = { number, sentMs: 0 };
  state.hasJoined = false;
  state.ping = { number: state.takeNumber(), sentMs: 0 };
  const ping: ControlMessage = {
    ...{ kind: "ping", slot: "s", run: state.run, number: state.ping.number },
  };
  await stream.transaction(12, [() => ping]);
  assertEquals([state.mark, state.chunk, state.hasJoined], [undefined, undefined, true]);
});

Deno.test("BackfillStage goes on from the mark of the highest generation, and from the newest of those", async () => {
  const stream = new Stream();
  const mark = (generation: number, upTo: number, run: string): ControlMessage => ({
    ...{ kind: "mark", slot: "s", generation, run, number: 1, taken: "0/5", upTo, open: [] },
    requests: [{ id: "r", tables: "all" }],
  });
  await stream.transaction(1, [() => mark(2, 100, "a")]);
  await stream.transaction(2, [() => mark(2, 200, "a")]);
  // A run that stood still wakes up behind its successor's first mark.
  await stream.transaction(3, [() => mark(1, 150, "frozen")]);
  assertEquals(stream.state.ledger.resume.upTo, 200);
  assertEquals(stream.state.ledger.requests.map(({ id }) => id), ["r"]);
});

Deno.test("a mark says which tables have not ended, in any order of OIDs, while it can list them", async () => {
  for (const many of [20, 30_000]) {
    const stream = new Stream();
    await stream.transaction(1, [() => REQUEST]);
    const { state } = stream;
    const tables = Array.from(
      { length: many },
      (_, i) => new TableRead(5 * i + 7, `public.t${i}`, undefined),
    );
    for (const table of tables.slice(1, 4)) table.end(true);
    for (const table of tables.slice(1, 3)) table.outcome!.endLsn = 0n;
    state.setTables(tables, "r", 4_000_000_000);
    const mark = markMessage(state, "s", state.takeNumber(), 0n, NOTHING_HIDDEN);
    const other = new Stream();
    await other.transaction(1, [() => ({ ...mark, run: "before" })]);
    const { resume } = other.state.ledger;
    assertEquals(resume.since, 4_000_000_000);
    assertEquals(resume.open.map(({ oid }) => oid), [7, 22]);
    assertEquals(resume.upTo, 22);
    const left = tables.slice(4).map(({ oid }) => oid);
    assertEquals(resume.left, many === 20 ? new Set(left) : undefined);
    // Before its own look the next run repeats it.
    const again = markMessage(other.state, "s", 1, 0n, NOTHING_HIDDEN);
    assertEquals([again.left, again.since, again.open], [mark.left, mark.since, mark.open]);
    assert(printControlMessage(again).length < MAX_CONTROL_BYTES / 6);
  }
});

Deno.test("BackfillStage obeys a stop that it finds before anything is read", async () => {
  const stream = new Stream();
  await stream.transaction(1, [() => REQUEST]);
  await stream.transaction(2, [() => ({ kind: "stop", slot: "s", tables: "all" })]);
  assertEquals(stream.state.ledger.requests, [{ id: "r", tables: ["public.t"], except: ["*"] }]);
});

Deno.test("BackfillStage ignores messages of other slots and malformed ones", async () => {
  const stream = new Stream();
  await stream.transaction(1, [() => ({ ...REQUEST, slot: "other" })]);
  assertEquals(stream.state.isIdle, true);
  assertEquals(stream.checkpoint.flushLsn, stream.checkpoint.storedLsn);
  const transaction = { xid: 2, timeline: 1, commitLsn: 1n, commitTime: 0n };
  const content = new TextEncoder().encode("{}");
  stream.stage.control({
    ...{ kind: "message", lsn: 1n, transaction, seq: 0, content, prefix: BACKFILL_PREFIX },
  });
  assertEquals(stream.state.malformed, 1);
  assertEquals("fault" in parseControlMessage("{}"), true);
});

Deno.test("BackfillStage keeps no WAL after a failover where nobody asks for rows, and until the next mark where one does", async () => {
  for (const isAsked of [false, true]) {
    const stream = new Stream();
    if (isAsked) await stream.begin();
    const branch = await stream.transaction(9, [row("insert", ["1", "a", "x"])]);
    // What the new timeline does not have.
    await stream.transaction(10, [row("insert", ["9", "lost", "x"])]);
    if (isAsked) await stream.mark(10, stream.state.takeNumber());
    stream.checkpoint.leaveAt(branch);
    stream.stage.restarted(branch);
    const end = await stream.transaction(11, [row("insert", ["2", "b", "y"])]);
    assertEquals(stream.checkpoint.storedLsn, end);
    // As the driver does, which wakes for each restart.
    stream.checkpoint.hold(stream.state.bound(end));
    if (isAsked) {
      assert(stream.checkpoint.flushLsn <= branch);
      await stream.mark(12, stream.state.takeNumber());
      assert(stream.checkpoint.flushLsn > branch);
    } else {
      assertEquals(stream.checkpoint.flushLsn, end);
    }
  }
});

Deno.test("BackfillStage holds no more of what is asked than a mark can carry, whoever asks how often", async () => {
  const stream = new Stream();
  const { ledger } = stream.state;
  const long = "x".repeat(15_000);
  const one = (each: Pick<ControlMessage, "kind"> & { id?: string; tables?: string[] }) => () =>
    ({ slot: "s", tables: [long], ...each }) as ControlMessage;
  // More than one transaction may bring, of which the others are as good as malformed.
  await stream.transaction(1, Array(100).fill(one({ kind: "request" })));
  assertEquals(stream.state.malformed, 36);
  for (let xid = 2; xid < 500; xid++) {
    await stream.transaction(xid, [
      one({ kind: xid % 2 ? "stop" : "request", id: `${xid}`, tables: [`${xid}${long}`] }),
    ]);
  }
  const taken = ledger.taken;
  await stream.transaction(500, [one({ kind: "request", id: "late" })]);
  assertEquals(ledger.taken, taken);
  assertEquals(ledger.requests.length, MAX_REQUESTS);
  assertEquals(ledger.requests.at(-1)!.tables, "all");
  assertEquals(ledger.requests[0]!.except, ["*"]);
  const key = ["\u00e4".repeat(100_000)];
  stream.table.claimed = { after: key, rows: 5 };
  stream.table.beganMs = 0;
  stream.state.setTables([stream.table], "r");
  const mark = markMessage(stream.state, "s", 1, 0n, NOTHING_HIDDEN);
  assertEquals(mark.open[0]!.after, undefined);
  assert(printControlMessage(mark).length < MAX_CONTROL_BYTES / 6);
});

Deno.test("BackfillStage takes a request that has the name of another for one of its own, and the same twice for one", async () => {
  const stream = new Stream();
  await stream.transaction(1, [() => REQUEST, () => REQUEST]);
  await stream.transaction(2, [
    () => ({ ...REQUEST, tables: ["public.u"] }),
    () => ({ ...REQUEST, tables: "all" }),
    () => ({ ...REQUEST, tables: ["public.u"] }),
  ]);
  assertEquals(stream.state.ledger.requests, [
    { id: "r", tables: ["public.t"] },
    { id: "r 2", tables: ["public.u"] },
    { id: "r 3", tables: "all" },
  ]);
});
