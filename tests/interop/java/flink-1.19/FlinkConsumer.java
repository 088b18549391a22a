import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Collections;
import java.util.List;
import java.util.Properties;
import java.util.stream.Collectors;
import org.apache.flink.api.common.functions.MapFunction;
import org.apache.flink.api.common.restartstrategy.RestartStrategies;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.connectors.kinesis.FlinkKinesisConsumer;
import org.apache.flink.streaming.connectors.kinesis.serialization.KinesisDeserializationSchema;

/**
 * Reads a stream with FlinkKinesisConsumer, which takes aggregates apart by itself, in a cluster of its own
 * process. Questions and answers are those of ../flink/FlinkChanges.java, without "newer".
 * Arguments: the stream's name, the endpoint.
 */
public class FlinkConsumer {
  static final List<Tuple2<String, String>> delivered = Collections.synchronizedList(new ArrayList<>());
  static volatile boolean fails;

  static class Schema implements KinesisDeserializationSchema<Tuple2<String, String>> {
    @Override
    public Tuple2<String, String> deserialize(
        byte[] data, String partitionKey, String sequence, long arrival, String stream, String shard) {
      return Tuple2.of(partitionKey, new String(data, StandardCharsets.UTF_8));
    }

    @Override
    public TypeInformation<Tuple2<String, String>> getProducedType() {
      return Types.TUPLE(Types.STRING, Types.STRING);
    }
  }

  static class Watch implements MapFunction<Tuple2<String, String>, Boolean> {
    @Override
    public Boolean map(Tuple2<String, String> change) {
      if (fails) {
        fails = false;
        throw new IllegalStateException("as asked for");
      }
      return delivered.add(change);
    }
  }

  static String base64(String text) {
    return Base64.getEncoder().encodeToString(text.getBytes(StandardCharsets.UTF_8));
  }

  public static void main(String[] args) throws Exception {
    var environment = StreamExecutionEnvironment.getExecutionEnvironment();
    environment.setParallelism(2);
    environment.enableCheckpointing(500);
    environment.setRestartStrategy(RestartStrategies.fixedDelayRestart(10, 200));
    var settings = new Properties();
    settings.setProperty("aws.region", "us-east-1");
    settings.setProperty("aws.endpoint", args[1]);
    settings.setProperty("flink.stream.initpos", "TRIM_HORIZON");
    settings.setProperty("flink.shard.discovery.intervalmillis", "1000");
    environment.addSource(new FlinkKinesisConsumer<>(args[0], new Schema(), settings)).map(new Watch());
    environment.executeAsync();

    var in = new BufferedReader(new InputStreamReader(System.in));
    for (var question = in.readLine(); question != null; question = in.readLine()) {
      if (question.equals("fail")) fails = true;
      synchronized (delivered) {
        System.out.println(question.equals("delivered")
            ? delivered.stream().map(change -> base64(change.f0) + ":" + base64(change.f1))
                .collect(Collectors.joining(" "))
            : "");
      }
    }
    Runtime.getRuntime().halt(0);
  }
}
