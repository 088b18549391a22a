import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Collections;
import java.util.List;
import java.util.stream.Collectors;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.functions.MapFunction;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.functions.RichMapFunction;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.RestartStrategyOptions;
import org.apache.flink.connector.kinesis.source.KinesisStreamsSource;
import org.apache.flink.connector.kinesis.source.config.KinesisSourceConfigOptions;
import org.apache.flink.connector.kinesis.source.serialization.KinesisDeserializationSchema;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.util.Collector;
import software.amazon.awssdk.services.kinesis.model.Record;

/**
 * Reads a stream with Flink's source in a cluster of its own process. A line on stdin is a question:
 *
 *     delivered     what the source gave, in the order of arrival
 *     newer         what OnlyNewer let through; an empty one for each start of a subtask
 *     fail          lets the job fail once; it goes on from its last checkpoint
 *
 * The answer is a line: PARTITION-KEY:DATA, each in base64, separated by spaces.
 * Arguments: the stream's ARN, the endpoint, and "changes" or "stored" (the records as they are stored).
 */
public class FlinkChanges {
  static final TypeInformation<Tuple2<String, String>> TYPE = Types.TUPLE(Types.STRING, Types.STRING);
  static final List<Tuple2<String, String>> delivered = Collections.synchronizedList(new ArrayList<>());
  static final List<Tuple2<String, String>> newer = Collections.synchronizedList(new ArrayList<>());
  static volatile boolean fails;

  static class Keep extends RichMapFunction<Tuple2<String, String>, Boolean> {
    @Override
    public void open(OpenContext context) {
      newer.add(Tuple2.of("", ""));
    }

    @Override
    public Boolean map(Tuple2<String, String> change) {
      return newer.add(change);
    }
  }

  static class Watch implements MapFunction<Tuple2<String, String>, Tuple2<String, String>> {
    @Override
    public Tuple2<String, String> map(Tuple2<String, String> change) {
      if (fails) {
        fails = false;
        throw new IllegalStateException("as asked for");
      }
      delivered.add(change);
      return change;
    }
  }

  static class Stored implements KinesisDeserializationSchema<Tuple2<String, String>> {
    @Override
    public void deserialize(Record record, String stream, String shard, Collector<Tuple2<String, String>> out) {
      out.collect(Tuple2.of(record.partitionKey(), record.data().asString(StandardCharsets.ISO_8859_1)));
    }

    @Override
    public TypeInformation<Tuple2<String, String>> getProducedType() {
      return TYPE;
    }
  }

  static String base64(String text) {
    return Base64.getEncoder().encodeToString(text.getBytes(StandardCharsets.UTF_8));
  }

  static String line(List<Tuple2<String, String>> changes) {
    synchronized (changes) {
      return changes.stream().map(change -> base64(change.f0) + ":" + base64(change.f1))
          .collect(Collectors.joining(" "));
    }
  }

  public static void main(String[] args) throws Exception {
    var settings = new Configuration();
    settings.set(RestartStrategyOptions.RESTART_STRATEGY, "fixed-delay");
    settings.set(RestartStrategyOptions.RESTART_STRATEGY_FIXED_DELAY_ATTEMPTS, 10);
    settings.set(RestartStrategyOptions.RESTART_STRATEGY_FIXED_DELAY_DELAY, Duration.ofMillis(200));
    var environment = StreamExecutionEnvironment.getExecutionEnvironment(settings);
    environment.setParallelism(2);
    environment.enableCheckpointing(500);

    var configuration = new Configuration();
    configuration.set(KinesisSourceConfigOptions.STREAM_INITIAL_POSITION,
        KinesisSourceConfigOptions.InitialPosition.TRIM_HORIZON);
    configuration.set(KinesisSourceConfigOptions.SHARD_DISCOVERY_INTERVAL, Duration.ofSeconds(1));
    configuration.setString("aws.region", "us-east-1");
    configuration.setString("aws.endpoint", args[1]);
    var isAsStored = args[2].equals("stored");
    var source = KinesisStreamsSource.<Tuple2<String, String>>builder().setStreamArn(args[0])
        .setSourceConfig(configuration).setDeserializationSchema(isAsStored ? new Stored() : new ChangeSchema())
        .build();
    var changes = environment
        .<Tuple2<String, String>>fromSource(source, WatermarkStrategy.noWatermarks(), "changes", TYPE)
        .map(new Watch()).returns(TYPE);
    if (!isAsStored) changes.keyBy(change -> change.f0).process(new OnlyNewer()).map(new Keep());
    environment.executeAsync();
    System.err.println("FLINK reads");

    var in = new BufferedReader(new InputStreamReader(System.in));
    for (var question = in.readLine(); question != null; question = in.readLine()) {
      if (question.equals("fail")) fails = true;
      System.out.println(question.equals("delivered") ? line(delivered) : question.equals("newer") ? line(newer) : "");
    }
    Runtime.getRuntime().halt(0);
  }
}
