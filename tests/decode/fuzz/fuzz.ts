import { DecodeError, type Decoder } from "../../../src/decode/decoder.ts";
import {
  type Column,
  NO_VALUE,
  PLAIN_VALUE,
  type RowBytes,
  type TransactionEvent,
  UNCHANGED,
} from "../../../src/decode/event.ts";
import type { PgoutputRelation } from "../../../src/decode/pgoutput/pgoutput_relation.ts";
import type { OutputPlugin } from "../../../src/options.ts";
import {
  type Fixture,
  fixtureTypeName,
  makeXLogData,
  messageData,
  readFixture,
  toHex,
} from "../../fixtures/fixture.ts";
import { builtinTypeName, decodeTwice, materialize, newDecoder } from "../../support/decoding.ts";
import { mutate } from "./mutate.ts";
import { readPgoutput } from "./reference_pgoutput.ts";
import { readTestDecoding } from "./reference_test_decoding.ts";
import { readWal2json } from "./reference_wal2json.ts";

export interface FuzzCounts {
  inputs: number;
  /** Understood … */
  values: number;
  /** … of these, compared with the reference parser … */
  compared: number;
  /** … or refused. */
  errors: number;
}

/** One message, and what a new decoder must have seen to take it. */
interface Seed {
  readonly data: Uint8Array;
  readonly context: readonly Uint8Array[];
}

/** Fuzzes one decoder; a finding is thrown, with all that is needed to see it again. */
export class DecoderFuzzer {
  readonly counts: FuzzCounts = { inputs: 0, values: 0, compared: 0, errors: 0 };
  readonly #seeds: readonly Seed[];
  readonly #typeName;

  private constructor(
    readonly plugin: OutputPlugin,
    fixtures: readonly Fixture[],
    private readonly random: () => number,
  ) {
    this.#seeds = fixtures.flatMap(findSeeds);
    const names = fixtures.map(fixtureTypeName);
    this.#typeName = (oid: number, typmod: number) => {
      for (const name of names) {
        const found = name(oid, typmod);
        if (found !== undefined) return found;
      }
      return builtinTypeName(oid);
    };
  }

  static async create(plugin: OutputPlugin, random: () => number): Promise<DecoderFuzzer> {
    const majors = plugin === "wal2json" ? [15] : [15, 18];
    const fixtures = await Promise.all(majors.map((major) => readFixture(plugin, major)));
    return new DecoderFuzzer(plugin, fixtures, random);
  }

  /** Decodes `count` mutated inputs. */
  run(count: number): void {
    for (let done = 0; done < count; done++) {
      if (this.random() < 0.1) this.#runSequence();
      else this.#runOne();
    }
  }

  /** One mutated message in the right place of a transaction. */
  #runOne(): void {
    const seed = this.#pick();
    const decoder = this.#newDecoder();
    for (const data of seed.context) decodeTwice(decoder, makeXLogData(0x10n, data));
    const data = mutate(seed.data, this.#pick().data, this.random);
    this.#check(decoder, data);
  }

  /** Messages of one transaction left out, repeated, exchanged and mutated. */
  #runSequence(): void {
    const decoder = this.#newDecoder();
    const start = Math.floor(this.random() * this.#seeds.length);
    for (let step = 0; step < 6; step++) {
      const chance = this.random();
      if (chance < 0.1) continue;
      const seed = chance < 0.2 ? this.#pick() : this.#seeds[start + step];
      if (seed === undefined) return;
      if (step === 0) {
        for (const data of seed.context) decodeTwice(decoder, makeXLogData(0x10n, data));
      }
      const data = chance < 0.5 ? mutate(seed.data, this.#pick().data, this.random) : seed.data;
      this.#check(decoder, data);
      if (chance > 0.9) this.#check(decoder, data);
    }
  }

  #check(decoder: Decoder, data: Uint8Array): void {
    this.counts.inputs++;
    try {
      const event = decodeTwice(decoder, makeXLogData(0x1Fn, data));
      const value = event === undefined ? undefined : this.#readAll(event);
      this.counts.values++;
      if (value !== undefined) this.#compare(event!, value, data);
    } catch (error) {
      if (error instanceof DecodeError && hasPlace(error, data)) {
        this.counts.errors++;
        if (this.plugin === "test_decoding") this.#compareRefusal(error, data);
        return;
      }
      if (error instanceof Finding) throw error;
      throw new Finding(this.plugin, data, "not a DecodeError that names a place", error);
    }
  }

  /** Asks for a few things first, in any order, then for all. */
  #readAll(event: TransactionEvent): Record<string, unknown> {
    if (event.kind !== "insert" && event.kind !== "update" && event.kind !== "delete") {
      return materialize(event);
    }
    const asked: [string, "new" | "old", Column | undefined][] = [];
    const bytes: ["new" | "old", readonly Column[] | undefined][] = [];
    for (let questions = Math.floor(this.random() * 4); questions > 0; questions--) {
      const name = ["id", "v", "a", "t", "none"][Math.floor(this.random() * 5)]!;
      switch (Math.floor(this.random() * 7)) {
        case 0:
          asked.push([name, "new", event.newColumn(name)]);
          break;
        case 1:
          asked.push([name, "old", event.oldColumn(name)]);
          break;
        case 2:
          event.keyNames;
          break;
        case 3:
          event.oldRow;
          break;
        case 4:
          event.newRow;
          break;
        case 5:
          bytes.push(["new", columnsOf(event.newBytes?.())]);
          break;
        case 6:
          bytes.push(["old", columnsOf(event.oldBytes?.())]);
          break;
      }
    }
    const value = materialize(event);
    for (const [name, side, column] of asked) {
      const row = side === "new" ? event.newRow : event.oldRow;
      const same = row?.find((candidate) => candidate.name === name);
      if (show(same) !== show(column)) {
        throw new Error(`${side} column ${name}: ${show(column)} alone, ${show(same)} in its row`);
      }
    }
    for (const [side, columns] of bytes) {
      const row = side === "new" ? event.newRow : event.oldRow;
      if (columns !== undefined && show(row) !== show(columns)) {
        throw new Error(`${side} row: ${show(columns)} as bytes, ${show(row)} as columns`);
      }
    }
    return value;
  }

  #compare(event: TransactionEvent, value: Record<string, unknown>, data: Uint8Array): void {
    if (event.kind === "begin" || event.kind === "commit") return;
    if (event.kind === "ambiguous-message") {
      return this.#expectSame(undefined, readTestDecoding(data), data);
    }
    // What is not compared: `commit` has nothing of its own, wal2json may print bytes that are not UTF-8.
    const reference = this.#reference(event, data);
    if (reference === "cannot tell") return;
    this.counts.compared++;
    const { lsn: _lsn, seq: _seq, xid, ...rest } = value;
    if (event.kind === "message") rest.transactional = xid !== undefined;
    if (this.plugin === "pgoutput") {
      const { newRow, oldRow } = value as { newRow?: Column[]; oldRow?: Column[] };
      const values = (row: Column[] | undefined) => row?.map((column) => column.value);
      this.#expectSame({ newRow: values(newRow), oldRow: values(oldRow) }, reference, data);
    } else if (this.plugin === "wal2json") {
      this.#expectSame(withoutQuotesOfNulls(rest), withoutQuotesOfNulls(reference), data);
    } else {
      this.#expectSame(rest, reference, data);
    }
  }

  #reference(
    event: TransactionEvent,
    data: Uint8Array,
  ): Record<string, unknown> | undefined | "cannot tell" {
    switch (this.plugin) {
      case "test_decoding":
        return readTestDecoding(data);
      case "wal2json":
        if (event.kind === "message" && !isUtf8(data)) return "cannot tell";
        return readWal2json(data);
      case "pgoutput":
        if (event.kind === "message" || event.kind === "truncate") return "cannot tell";
        if (event.kind === "begin" || event.kind === "commit") return "cannot tell";
        if (event.kind === "ambiguous-message") return "cannot tell";
        return readPgoutput(data, (event.relation as PgoutputRelation).columns);
    }
  }

  #expectSame(value: unknown, reference: unknown, data: Uint8Array): void {
    if (show(value) !== show(reference)) {
      throw new Finding(
        this.plugin,
        data,
        `a wrong value:\n${show(value)}\nbut the reference says\n${show(reference)}`,
      );
    }
  }

  /** The reference must refuse it too, unless it is the protocol's order that is wrong. */
  #compareRefusal(error: DecodeError, data: Uint8Array): void {
    if (/inside|outside any transaction/.test(error.message)) return;
    const reference = readTestDecoding(data);
    if (reference !== undefined) {
      throw new Finding(this.plugin, data, `refused, but it means ${show(reference)}`, error);
    }
  }

  #pick(): Seed {
    return this.#seeds[Math.floor(this.random() * this.#seeds.length)]!;
  }

  #newDecoder(): Decoder {
    return newDecoder(this.plugin, this.#typeName);
  }
}

export class Finding extends Error {
  override name = "Finding";
  constructor(plugin: OutputPlugin, data: Uint8Array, what: string, cause?: unknown) {
    const text = JSON.stringify(new TextDecoder().decode(data));
    super(`${plugin}: ${what}\ninput ${text}\nhex ${toHex(data)}\n${String(cause ?? "")}`, {
      cause,
    });
  }
}

function hasPlace(error: DecodeError, data: Uint8Array): boolean {
  // Messages that only describe take the LSN of their transaction.
  return (error.lsn === 0x1Fn || error.plugin === "pgoutput") &&
    Number.isInteger(error.position) && error.position >= 0 && error.position <= data.length + 64;
}

/** What the bytes of a row say. */
function columnsOf(row: RowBytes | undefined): Column[] | undefined {
  return row?.columns.map(({ name, type }, index) => {
    if (row.forms[index] === NO_VALUE) return { name, type, value: null };
    const value = row.text(index);
    const bytes = row.bytes.subarray(row.places[2 * index], row.places[2 * index + 1]);
    if (row.forms[index] === PLAIN_VALUE && utf8.decode(bytes) !== value) {
      throw new Error(`${name}: ${show(value)}, but its bytes say ${show(utf8.decode(bytes))}`);
    }
    return { name, type, value };
  });
}

const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });

function isUtf8(data: Uint8Array): boolean {
  return !new TextDecoder().decode(data).includes("\uFFFD");
}

/** Equal values have equal text, in whatever order their members stand. */
/** A null does not say whose type it is: the decoder goes by the values before it, which the reference has not seen. */
function withoutQuotesOfNulls(
  value: Record<string, unknown> | undefined,
): Record<string, unknown> | undefined {
  const plain = (row: unknown) =>
    (row as Column[] | undefined)?.map((column) =>
      column.value === null ? { ...column, type: column.type.replace(/^"(.*)"$/, "$1") } : column
    );
  return value === undefined
    ? undefined
    : { ...value, newRow: plain(value.newRow), oldRow: plain(value.oldRow) };
}

function show(value: unknown): string {
  return JSON.stringify(value, (_, part) => {
    if (part === UNCHANGED) return "(unchanged)";
    if (typeof part !== "object" || part === null || Array.isArray(part)) return part;
    return Object.fromEntries(Object.entries(part).sort(([a], [b]) => a < b ? -1 : 1));
  }) ?? "undefined";
}

/** Each message of a fixture, with BEGIN and the descriptions that it needs. */
function findSeeds(fixture: Fixture): Seed[] {
  const seeds: Seed[] = [];
  let begin: Uint8Array | undefined;
  const described = new Map<number, readonly Uint8Array[]>();
  let types: Uint8Array[] = [];
  for (const message of fixture.messages) {
    const data = messageData(message);
    const context = begin === undefined ? [] : [begin];
    const letter = fixture.plugin === "pgoutput" ? String.fromCharCode(data[0]!) : "";
    if ("IUD".includes(letter) && letter !== "") context.push(...described.get(readOid(data, 1))!);
    if (letter === "T") {
      for (let at = 6; at < data.length; at += 4) {
        context.push(...described.get(readOid(data, at))!);
      }
    }
    if (letter === "Y") types.push(data);
    if (letter === "R") {
      context.push(...types);
      described.set(readOid(data, 1), [...types, data]);
      types = [];
    }
    seeds.push({ data, context });
    if (isBegin(fixture, data)) begin = data;
    if (isCommit(fixture, data)) begin = undefined;
  }
  return seeds;
}

function readOid(data: Uint8Array, at: number): number {
  return new DataView(data.buffer, data.byteOffset).getUint32(at);
}

function isBegin({ plugin }: Fixture, data: Uint8Array): boolean {
  return startsWith(
    data,
    { test_decoding: "BEGIN", pgoutput: "B" }[plugin as string] ?? '{"action":"B',
  );
}

function isCommit({ plugin }: Fixture, data: Uint8Array): boolean {
  return startsWith(
    data,
    { test_decoding: "COMMIT", pgoutput: "C" }[plugin as string] ?? '{"action":"C',
  );
}

function startsWith(data: Uint8Array, text: string): boolean {
  return [...text].every((character, index) => data[index] === character.charCodeAt(0));
}
