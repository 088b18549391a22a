import java.nio.charset.StandardCharsets;
import java.util.List;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.connector.kinesis.source.serialization.KinesisDeserializationSchema;
import org.apache.flink.util.Collector;
import software.amazon.awssdk.services.kinesis.model.Record;
import software.amazon.kinesis.retrieval.AggregatorUtil;
import software.amazon.kinesis.retrieval.KinesisClientRecord;

/** Each change with its partition key, whether it was aggregated or not. */
public class ChangeSchema implements KinesisDeserializationSchema<Tuple2<String, String>> {
  @Override
  public void deserialize(Record record, String stream, String shard, Collector<Tuple2<String, String>> out) {
    for (var change : new AggregatorUtil().deaggregate(List.of(KinesisClientRecord.fromRecord(record)))) {
      out.collect(Tuple2.of(change.partitionKey(), StandardCharsets.UTF_8.decode(change.data()).toString()));
    }
  }

  @Override
  public TypeInformation<Tuple2<String, String>> getProducedType() {
    return Types.TUPLE(Types.STRING, Types.STRING);
  }
}
