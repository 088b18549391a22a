import com.fasterxml.jackson.databind.ObjectMapper;
import java.math.BigInteger;
import java.util.Set;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.util.Collector;

/**
 * Drops what is not above the highest position of its partition key. What has no row passes: a TRUNCATE is for
 * whoever keeps the rows, and may come more than once.
 */
public class OnlyNewer extends KeyedProcessFunction<String, Tuple2<String, String>, Tuple2<String, String>> {
  private static final Set<String> OF_ROWS = Set.of("insert", "update", "delete", "read");

  private transient ValueState<String> highest;
  private transient ObjectMapper json;

  @Override
  public void open(OpenContext context) {
    highest = getRuntimeContext().getState(new ValueStateDescriptor<>("highest", Types.STRING));
    json = new ObjectMapper();
  }

  @Override
  public void processElement(Tuple2<String, String> change, Context context, Collector<Tuple2<String, String>> out)
      throws Exception {
    var fields = json.readTree(change.f1);
    if (OF_ROWS.contains(fields.get("op").asText())) {
      var lsn = fields.get("commit_lsn").asText().split("/");
      var commit = new BigInteger(lsn[0], 16).shiftLeft(32).add(new BigInteger(lsn[1], 16));
      // With a fixed number of digits, text sorts as the numbers do.
      var position = "%010d/%020d/%016d".formatted(
          fields.get("timeline").asLong(), commit, fields.get("seq").asLong());
      var before = highest.value();
      if (before != null && position.compareTo(before) <= 0) return;
      highest.update(position);
    }
    out.collect(change);
  }
}
