import { UsageError } from "../base/errors.ts";
import type { Plugin } from "../decode/plugin.ts";
import { PLUGINS } from "../decode/plugins.ts";
import type { FormatOptions, OutputPlugin } from "../options.ts";
import type { Catalog } from "../postgres/catalog/known_table.ts";
import { ColumnFilter } from "./filter/column_filter.ts";
import { CSV, CSV_PAYLOAD, KeyFormatter } from "./csv.ts";
import { FilteringFormatter } from "./filter/filtering_formatter.ts";
import { DebeziumFormatter } from "./debezium/debezium_formatter.ts";
import { DmsFormatter } from "./dms/dms_formatter.ts";
import type { Formatter } from "./formatter.ts";
import { FullChangeFormatter } from "./full_change.ts";
import { JsonFormatter } from "./json.ts";
import { drops } from "./filter/first_route.ts";
import { namedTables, refuseBelowRoot } from "./filter/named_tables.ts";
import { choosePartitionKey } from "./partition_key.ts";
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
  const formatter = await createInner(options, plugin, catalog, keys);
  const hasRows = !options.formatter.startsWith("CSV") || options.fullChange;
  const inner = hasRows && plugin.printsVirtualAsNull
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

async function createInner(
  options: FormatOptions,
  plugin: Plugin,
  catalog: Catalog,
  keys: RowKeys,
): Promise<Formatter> {
  const partitionKey = choosePartitionKey(options.partitionKey);
  switch (options.formatter) {
    case "CSV":
      if (options.fullChange) {
        throw new UsageError("--full-change needs --message-formatter CSVPayload, found CSV");
      }
      return new KeyFormatter(CSV, plugin, keys, partitionKey, catalog);
    case "CSVPayload":
      return options.fullChange
        ? new FullChangeFormatter(plugin, keys, partitionKey, catalog)
        : new KeyFormatter(CSV_PAYLOAD, plugin, keys, partitionKey, catalog);
    case "JSON":
      return new JsonFormatter(plugin, keys, options.partitionKey, catalog);
    case "debezium":
      return new DebeziumFormatter(plugin, keys, options.partitionKey, catalog, options.debezium);
    case "dms":
      return new DmsFormatter(plugin, keys, options.partitionKey, catalog, options.dms);
    default: {
      const formatter = await loadUserFormatter(options.formatter);
      return new UserModuleFormatter(options.formatter, formatter, keys, partitionKey);
    }
  }
}
