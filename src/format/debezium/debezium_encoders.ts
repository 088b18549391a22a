import { arrayEncoder } from "../typed/array_encoder.ts";
import { BOOLEAN, INTEGER, TEXT, type ValueEncoder } from "../typed/encoder.ts";
import { bareName, type TypeSpec } from "../typed/type_spec.ts";
import { bitEncoder, BYTEA, varbitEncoder } from "./binary.ts";
import { type DecimalMode, moneyEncoder, numericEncoder } from "./decimal.ts";
import { GEOMETRY, HSTORE, POINT, SPARSE_VECTOR, VECTOR } from "./extension_types.ts";
import { FLOAT } from "./float.ts";
import { INTERVAL_MICROS } from "./interval.ts";
import { DATE, TIME_TZ, timeEncoder, timestampEncoder, timestampTzEncoder } from "./temporal.ts";

/**
 * How Debezium writes each type in its default modes, but for decimals, whose mode is an option. Types that
 * Debezium leaves out are PostgreSQL's text here.
 * io.debezium.connector.postgresql.PostgresValueConverter
 */
export function debeziumEncoder(type: TypeSpec, decimals: DecimalMode): ValueEncoder {
  if (type.element !== undefined) {
    // The only type of PostgreSQL with another delimiter.
    const delimiter = type.element.name === "box" ? ";" : ",";
    return arrayEncoder(debeziumEncoder(type.element, decimals), delimiter);
  }
  const { name, modifiers } = type;
  switch (name) {
    case "boolean":
      return BOOLEAN;
    case "smallint":
    case "integer":
    case "bigint":
    case "oid":
      return INTEGER;
    case "real":
    case "double precision":
      return FLOAT;
    case "numeric":
      return numericEncoder(decimals, modifiers);
    case "money":
      return moneyEncoder(decimals);
    case "date":
      return DATE;
    case "time without time zone":
      return timeEncoder(modifiers);
    case "time with time zone":
      return TIME_TZ;
    case "timestamp without time zone":
      return timestampEncoder(modifiers);
    case "timestamp with time zone":
      return timestampTzEncoder(modifiers);
    case "bytea":
      return BYTEA;
    case "bit":
      return bitEncoder(modifiers);
    case "bit varying":
      return varbitEncoder(modifiers);
    case "point":
      return POINT;
  }
  // `interval year to month` is one, too.
  if (name === "interval" || name.startsWith("interval ")) return INTERVAL_MICROS;
  switch (bareName(type)) {
    case "hstore":
      return HSTORE;
    case "geometry":
    case "geography":
      return GEOMETRY;
    case "vector":
    case "halfvec":
      return VECTOR;
    case "sparsevec":
      return SPARSE_VECTOR;
    default:
      return TEXT;
  }
}
