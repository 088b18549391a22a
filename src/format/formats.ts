import { UsageError } from "../base/errors.ts";
import type { Plugin } from "../decode/plugin.ts";
import { PLUGINS } from "../decode/plugins.ts";
import type { FormatOptions, OutputPlugin } from "../options.ts";
import type { Catalog } from "../postgres/catalog/known_table.ts";
import { ColumnFilter } from "./filter/column_filter.ts";
import { CSV, CSV_PAYLOAD, KeyFormatter } from "./csv.ts";
import { FilteringFormatter } from "./filter/filtering_formatter.ts";
import { type FormatName, formatName, publishesKeysOnly } from "./format_traits.ts";
import type { Formatter } from "./formatter.ts";
import { FullChangeFormatter } from "./full_change.ts";
import { JsonFormatter } from "./json.ts";
import { LineFormatter } from "./line_formatter.ts";
import { drops } from "./filter/first_route.ts";
import { namedTables, refuseBelowRoot } from "./filter/named_tables.ts";
import { choosePartitionKey, type PartitionKeyOf } from "./partition_key.ts";
import { RowKeys } from "./row_key.ts";
import { checkTableFilter, createTableFilter } from "./filter/table_filter.ts";
import { WithoutVirtualColumns } from "./virtual_columns.ts";
import { loadUserFormatter, UserModuleFormatter } from "./user/user_module.ts";

/**
 * Makes the formatter that the options ask for, with their filters before it. `catalog` has been read.
 * Throws a UsageError or a RunError for what can be known to be wrong before the first change.
 */
export async function createFormatter(
  options: FormatOptions,
  pluginName: OutputPlugin,
  catalog: Catalog,
  columnFilter = new ColumnFilter(options),
  /** Partitioned tables whose changes come under their own names. */
  roots: readonly string[] = [],
): Promise<Formatter> {
  const plugin = PLUGINS[pluginName];
  checkTableFilter(options, catalog);
  columnFilter.check(catalog);
  const tableFilter = createTableFilter(options, catalog);
  for (const root of roots) refuseBelowRoot(root, catalog, tableFilter, columnFilter);

  const keys = new RowKeys(plugin, catalog);
  const partitionKey = choosePartitionKey(options.partitionKey);
  const formatter = await createInner({ options, plugin, catalog, keys, partitionKey });
  const inner = !publishesKeysOnly(options) && plugin.printsVirtualAsNull
    ? new WithoutVirtualColumns(formatter, catalog)
    : formatter;
  const filtersTables = options.tablePattern !== undefined ||
    options.includeTables.length > 0 || options.excludeTables.length > 0 ||
    options.routes.some(drops);
  const filtersOperations = options.operations.size < 4;
  if (!columnFilter.isActive && !filtersTables && !filtersOperations) return inner;
  return new FilteringFormatter(
    inner,
    options,
    plugin,
    tableFilter,
    columnFilter,
    keys,
    catalog,
    columnFilter.isActive || filtersTables ? namedTables(options) : undefined,
  );
}

/**
 * Loads a user's module before anything else is asked.
 * @throws {RunError} where it cannot be a formatter.
 */
export async function tryFormatter(options: FormatOptions): Promise<void> {
  if (formatName(options) === undefined) await loadUserFormatter(options.formatter);
}

interface FormatterParts {
  readonly options: FormatOptions;
  readonly plugin: Plugin;
  readonly catalog: Catalog;
  readonly keys: RowKeys;
  readonly partitionKey: PartitionKeyOf;
}

/**
 * How each built-in format is made; what else has to be known of it is in `format_traits.ts`. Those of many
 * modules are loaded when they are asked for: each module costs every start a millisecond.
 */
const CREATE: Readonly<
  Record<FormatName, (parts: FormatterParts) => Formatter | Promise<Formatter>>
> = {
  CSV({ options, plugin, keys, partitionKey, catalog }) {
    if (options.fullChange) {
      throw new UsageError("--full-change needs --message-formatter CSVPayload, found CSV");
    }
    return new KeyFormatter(CSV, plugin, keys, partitionKey, catalog);
  },
  CSVPayload: ({ options, plugin, keys, partitionKey, catalog }) =>
    options.fullChange
      ? new FullChangeFormatter(plugin, keys, partitionKey, catalog)
      : new KeyFormatter(CSV_PAYLOAD, plugin, keys, partitionKey, catalog),
  JSON: ({ options, plugin, keys, catalog }) =>
    new JsonFormatter(plugin, keys, options.partitionKey, catalog),
  async debezium({ options, plugin, keys, catalog }) {
    const { DebeziumFormatter } = await import("./debezium/debezium_formatter.ts");
    return new DebeziumFormatter(plugin, keys, options.partitionKey, catalog, options.debezium);
  },
  async dms({ options, plugin, keys, catalog }) {
    const { DmsFormatter } = await import("./dms/dms_formatter.ts");
    return new DmsFormatter(plugin, keys, options.partitionKey, catalog, options.dms);
  },
};

async function createInner(parts: FormatterParts): Promise<Formatter> {
  const { options, keys, partitionKey } = parts;
  const name = formatName(options);
  const formatter = name !== undefined ? await CREATE[name](parts) : new UserModuleFormatter(
    options.formatter,
    await loadUserFormatter(options.formatter),
    keys,
    partitionKey,
  );
  return options.recordSeparator === "newline" ? new LineFormatter(formatter) : formatter;
}
