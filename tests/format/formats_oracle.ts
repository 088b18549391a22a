// @ts-types="@types/pg"
import type pg from "pg";
import { systemClock } from "../../src/base/clock.ts";
import { PLUGINS } from "../../src/decode/plugins.ts";
import { createFormatter } from "../../src/format/formats.ts";
import type { FormatProblem, Formatter } from "../../src/format/formatter.ts";
import { type Decoder, UnknownTypeError } from "../../src/decode/decoder.ts";
import { parseLsn } from "../../src/base/lsn.ts";
import { type FormatOptions, OUTPUT_PLUGINS, type OutputPlugin } from "../../src/options.ts";
import { loadCatalog } from "../../src/postgres/catalog/catalog.ts";
import type { Catalog } from "../../src/postgres/catalog/known_table.ts";
import type { XLogData } from "../../src/base/replication_message.ts";
import { makeXLogData } from "../fixtures/fixture.ts";
import { postgresOptions } from "../support/postgres_options.ts";
import { freshDatabase } from "../support/shared_postgres.ts";
import type { Row, TestPostgres } from "../support/test_postgres.ts";
import { OPTIONS, textOf } from "../support/made_up_changes.ts";

/** Debian's. */
const MAJOR = 15;

/** A statement of one of three sessions. */
export interface Step {
  readonly session: "a" | "b" | "c";
  readonly sql: string;
  readonly since?: number;
}

/** Runs one query in the database. */
type Query = (text: string) => Promise<Row[]>;

interface Setup {
  /** SQL. */
  readonly prepare: string;
  readonly publications: string;
  readonly options: Partial<FormatOptions>;
}

type Sessions = Readonly<Record<Step["session"], pg.Client>>;

/** What a run asks each plugin for. */
const PLUGIN_OPTIONS: Readonly<Record<OutputPlugin, string>> = {
  test_decoding: "",
  wal2json: ", 'format-version', '2', 'include-xids', '1', 'include-timestamp', '1'" +
    ", 'include-lsn', '1', 'include-pk', '1', 'include-transaction', '1'",
  pgoutput: ", 'proto_version', '1', 'publication_names', 'PUBLICATIONS', 'messages', 'true'",
};

/** The session settings of both connections of a run (invariant 8). */
const SETTINGS = `set datestyle = 'ISO'; set intervalstyle = 'postgres';
  set extra_float_digits = 1; set bytea_output = 'hex'; set client_encoding = 'UTF8'`;

/** A record that was published, `data` parsed without losing a digit. */
export interface Published {
  readonly key: string;
  // deno-lint-ignore no-explicit-any
  readonly data: any;
}

/**
 * Runs `use` with slots in a new database in which `prepare` has been done, and with three sessions.
 */
export async function withOracle(
  server: TestPostgres,
  setup: Setup,
  use: (oracle: Oracle, sessions: Sessions) => Promise<void>,
): Promise<void> {
  await using db = await freshDatabase(server);
  const connect = () => server.connect({ database: db.database });
  const sessions = { a: await connect(), b: await connect(), c: await connect() };
  const reader = await connect();
  const catalog = await loadCatalog(
    postgresOptions(server, { database: db.database }),
    systemClock,
    Math.random,
  );
  try {
    await sessions.a.query(setup.prepare);
    const query = async (text: string) => (await reader.query(text)).rows;
    const oracle = await Oracle.create(query, catalog, db.slot, setup);
    await use(oracle, sessions);
  } finally {
    catalog.close();
    for (const client of [reader, ...Object.values(sessions)]) await client.end();
  }
}

/** As the pipeline does. */
async function decodeWith(catalog: Catalog, decoder: Decoder, message: XLogData) {
  try {
    return decoder.decode(message);
  } catch (error) {
    if (!(error instanceof UnknownTypeError)) throw error;
    await catalog.loadTypes();
    return decoder.decode(message);
  }
}

/**
 * Slots of all plugins in one database, read through the decoders and a formatter, and one slot of
 * wal2json's own format 1 to compare with.
 */
export class Oracle {
  readonly published: Record<OutputPlugin, Published[]> = {
    test_decoding: [],
    wal2json: [],
    pgoutput: [],
  };
  /** wal2json's format 1, one change after the other; without types, which it may print wrongly. */
  readonly expected: Row[] = [];
  /** The same with types; undefined where it was not valid JSON. */
  readonly expectedWithTypes: (Row | undefined)[] = [];
  /** Which problems are expected. */
  mayHide: (problem: FormatProblem) => boolean = () => false;
  readonly #stages = new Map<OutputPlugin, { decoder: Decoder; formatter: Formatter }>();

  private constructor(
    private readonly query: Query,
    private readonly catalog: Catalog,
    private readonly publications: string,
    private readonly slot: string,
  ) {}

  static async create(
    query: Query,
    catalog: Catalog,
    slot: string,
    { publications, options }: Setup,
  ): Promise<Oracle> {
    await query(SETTINGS);
    await catalog.refresh();
    const oracle = new Oracle(query, catalog, publications, slot);
    await query(`select pg_create_logical_replication_slot('${slot}_oracle', 'wal2json')`);
    for (const plugin of OUTPUT_PLUGINS) {
      await query(`select pg_create_logical_replication_slot('${slot}_${plugin}', '${plugin}')`);
      oracle.#stages.set(plugin, {
        decoder: PLUGINS[plugin].createDecoder({
          typeName: (oid, typmod) => catalog.typeName(oid, typmod),
          publishesMessage: () => true,
        }),
        formatter: await createFormatter({ ...OPTIONS, ...options }, plugin, catalog),
      });
    }
    return oracle;
  }

  /** Runs the statements, each on its session; the plugins follow closely. */
  async run(steps: readonly Step[], sessions: Sessions): Promise<void> {
    for (const { session, sql, since } of steps) {
      if (since !== undefined && since > MAJOR) continue;
      // The plugins know a table as it was, pg_catalog as it is.
      if (/\b(alter|drop)\b/.test(sql)) await this.drain();
      await sessions[session].query(sql);
    }
    await this.drain();
  }

  /** Publishes what all slots hold. */
  async drain(
    plugins: readonly OutputPlugin[] = OUTPUT_PLUGINS,
    read: "get" | "peek" = "get",
  ): Promise<void> {
    await this.catalog.refresh();
    for (const plugin of plugins) await this.#drain(plugin, read);
    if (read === "get") await this.#drainOracle();
  }

  async #drain(plugin: OutputPlugin, read: string): Promise<void> {
    const { decoder, formatter } = this.#stages.get(plugin)!;
    const options = PLUGIN_OPTIONS[plugin].replace("PUBLICATIONS", this.publications);
    const messages = await this.query(
      `select lsn, data from pg_logical_slot_${read}_binary_changes('${this.slot}_${plugin}', null, null
       ${options})`,
    );
    for (const { lsn, data } of messages) {
      const message = makeXLogData(parseLsn(lsn), data);
      const event = await decodeWith(this.catalog, decoder, message);
      if (event === undefined || event.kind === "begin" || event.kind === "commit") continue;
      if (event.kind === "ambiguous-message") throw new Error(`${plugin}: ${event.prefix}`);
      const problem = formatter.format(event, (key, text) => {
        this.published[plugin].push({
          key,
          data: parseExactly(textOf(text).replace("0,CDC,", "")),
        });
      });
      if (problem === undefined) continue;
      if (problem.kind === "unread") throw new Error(Deno.inspect(problem));
      if (!this.mayHide(problem)) throw new Error(`${plugin} ${problem.table}: ${problem.reason}`);
    }
  }

  async #drainOracle(): Promise<void> {
    const read = (what: string, options: string) =>
      this.query(
        `select data from pg_logical_slot_${what}_changes('${this.slot}_oracle', null, null,
         'include-xids', '1'${options})`,
      );
    const typed = (await read("peek", "")).filter(isTransaction);
    const plain = (await read("get", ", 'include-types', '0'")).filter(isTransaction);
    plain.forEach(({ data }, index) => {
      const { xid, change } = parseExactly(data);
      const withTypes = tryParse(typed[index]!.data)?.change;
      change.forEach((row: Row, position: number) => {
        this.expected.push({ xid, change: row });
        this.expectedWithTypes.push(withTypes && { xid, change: withTypes[position] });
      });
    });
  }
}

/** A message outside of a transaction stands alone, and sometimes begins with a comma too many. */
function isTransaction({ data }: Row): boolean {
  return data.startsWith('{"xid":');
}

function tryParse(json: string): Row | undefined {
  try {
    return parseExactly(json);
  } catch {
    return undefined;
  }
}

/** Parses JSON with every number as the string `number <its text>`: a parser would round it. */
// deno-lint-ignore no-explicit-any
export function parseExactly(json: string): any {
  return JSON.parse(
    json.replace(
      /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g,
      (token) => token.startsWith('"') ? token : `"number ${token}"`,
    ),
  );
}
