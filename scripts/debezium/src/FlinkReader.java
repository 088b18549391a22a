import static org.apache.flink.table.api.DataTypes.*;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import org.apache.flink.api.common.serialization.DeserializationSchema;
import org.apache.flink.formats.common.TimestampFormat;
import org.apache.flink.formats.json.debezium.DebeziumJsonDeserializationSchema;
import org.apache.flink.metrics.MetricGroup;
import org.apache.flink.metrics.groups.UnregisteredMetricsGroup;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.runtime.typeutils.InternalTypeInfo;
import org.apache.flink.table.types.DataType;
import org.apache.flink.table.types.logical.RowType;
import org.apache.flink.util.Collector;
import org.apache.flink.util.SimpleUserCodeClassLoader;
import org.apache.flink.util.UserCodeClassLoader;

/**
 * Reads lines of a table's name and a Debezium record in base64 with Flink's format debezium-json, and prints
 * the changelog that it makes of each: +I, -U, +U, -D and the row.
 */
public class FlinkReader {
  private static final Map<String, DataType> TABLES = Map.of(
      "public.by_full", ROW(FIELD("id", INT()), FIELD("n", INT()), FIELD("t", STRING()), FIELD("big", STRING())),
      "public.no_key", ROW(FIELD("a", INT()), FIELD("t", STRING())),
      "shop.orders", ROW(FIELD("id", BIGINT()), FIELD("total", DECIMAL(10, 2)), FIELD("note", STRING()),
          FIELD("placed", TIMESTAMP_LTZ(6))),
      "public.domains", ROW(FIELD("id", INT()), FIELD("p", INT()), FIELD("pr", DECIMAL(10, 2)), FIELD("l", STRING())),
      "public.times", ROW(FIELD("id", INT()), FIELD("d", INT()), FIELD("t", BIGINT()), FIELD("ts", BIGINT()),
          FIELD("tz", STRING()), FIELD("i", BIGINT())));

  public static void main(String[] arguments) throws Exception {
    var in = new BufferedReader(new InputStreamReader(System.in));
    for (String line; (line = in.readLine()) != null; ) {
      String[] parts = line.split(" ", -1);
      DataType type = TABLES.get(parts[0]);
      var schema = new DebeziumJsonDeserializationSchema(type, List.of(),
          InternalTypeInfo.of((RowType) type.getLogicalType()), false, false, TimestampFormat.ISO_8601);
      schema.open(CONTEXT);
      schema.deserialize(Base64.getDecoder().decode(parts[1]), new Collector<RowData>() {
        @Override
        public void collect(RowData row) {
          System.out.println("ROW " + parts[0] + " " + row);
        }

        @Override
        public void close() {}
      });
    }
  }

  private static final DeserializationSchema.InitializationContext CONTEXT =
      new DeserializationSchema.InitializationContext() {
        @Override
        public MetricGroup getMetricGroup() {
          return new UnregisteredMetricsGroup();
        }

        @Override
        public UserCodeClassLoader getUserCodeClassLoader() {
          return SimpleUserCodeClassLoader.create(FlinkReader.class.getClassLoader());
        }
      };
}
