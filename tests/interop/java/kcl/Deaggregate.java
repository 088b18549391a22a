import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.util.Base64;
import java.util.List;
import software.amazon.kinesis.retrieval.AggregatorUtil;
import software.amazon.kinesis.retrieval.KinesisClientRecord;

/**
 * The reader of aggregates in the Kinesis Client Library. A line on stdin is a stored record, with its shard's
 * range, of which the library looks at what lies outside:
 *
 *     sequenceNumber startingHashKey endingHashKey partitionKey data     (the last two in base64)
 *
 * A line on stdout is a user record: sequenceNumber subSequenceNumber partitionKey data
 */
public class Deaggregate {
  public static void main(String[] args) throws Exception {
    var base64 = Base64.getEncoder();
    var out = new StringBuilder();
    var in = new BufferedReader(new InputStreamReader(System.in));
    for (String line = in.readLine(); line != null; line = in.readLine()) {
      var words = line.split(" ", -1);
      var record = KinesisClientRecord.builder().sequenceNumber(words[0])
          .partitionKey(new String(Base64.getDecoder().decode(words[3]), "UTF-8"))
          .data(ByteBuffer.wrap(Base64.getDecoder().decode(words[4]))).build();
      for (var user : new AggregatorUtil().deaggregate(List.of(record), new BigInteger(words[1]), new BigInteger(words[2]))) {
        var data = new byte[user.data().remaining()];
        user.data().get(data);
        out.append(user.sequenceNumber()).append(' ').append(user.aggregated() ? user.subSequenceNumber() : 0)
            .append(' ').append(base64.encodeToString(user.partitionKey().getBytes("UTF-8")))
            .append(' ').append(base64.encodeToString(data)).append('\n');
      }
    }
    System.out.print(out);
  }
}
