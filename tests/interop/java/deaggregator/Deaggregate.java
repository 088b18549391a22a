import com.amazonaws.kinesis.deagg.RecordDeaggregator;
import com.amazonaws.services.kinesis.clientlibrary.types.UserRecord;
import com.amazonaws.services.lambda.runtime.events.KinesisEvent;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.ByteBuffer;
import java.util.Base64;
import java.util.List;

/**
 * AWS's deaggregator for Java. A line on stdin is a stored record, and one on stdout a user record, as in
 * ../kcl/Deaggregate.java; of the shard's range it knows nothing.
 */
public class Deaggregate {
  public static void main(String[] args) throws Exception {
    var base64 = Base64.getEncoder();
    var out = new StringBuilder();
    var in = new BufferedReader(new InputStreamReader(System.in));
    for (String line = in.readLine(); line != null; line = in.readLine()) {
      var words = line.split(" ", -1);
      var stored = new KinesisEvent.Record();
      stored.setSequenceNumber(words[0]);
      stored.setPartitionKey(new String(Base64.getDecoder().decode(words[3]), "UTF-8"));
      stored.setData(ByteBuffer.wrap(Base64.getDecoder().decode(words[4])));
      var record = new KinesisEvent.KinesisEventRecord();
      record.setKinesis(stored);
      List<UserRecord> users = RecordDeaggregator.deaggregate(record);
      for (var user : users) {
        var data = new byte[user.getData().remaining()];
        user.getData().get(data);
        out.append(user.getSequenceNumber()).append(' ').append(user.isAggregated() ? user.getSubSequenceNumber() : 0)
            .append(' ').append(base64.encodeToString(user.getPartitionKey().getBytes("UTF-8")))
            .append(' ').append(base64.encodeToString(data)).append('\n');
      }
    }
    System.out.print(out);
  }
}
