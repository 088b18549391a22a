import io.debezium.engine.ChangeEvent;
import io.debezium.engine.DebeziumEngine;
import io.debezium.engine.format.Json;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Base64;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;

/**
 * Runs Debezium's engine with the properties of a file, and prints each record on a line of its own: its
 * destination, key and value in base64, "-" for none. Ends behind the record that goes to a destination
 * whose name ends in ".the_end".
 */
public class Capture {
  public static void main(String[] arguments) throws Exception {
    Properties properties = new Properties();
    try (var reader = Files.newBufferedReader(Path.of(arguments[0]))) {
      properties.load(reader);
    }
    PrintStream out = System.out;
    CountDownLatch ended = new CountDownLatch(1);
    DebeziumEngine<ChangeEvent<String, String>> engine = DebeziumEngine.create(Json.class)
        .using(properties)
        .notifying((records, committer) -> {
          for (ChangeEvent<String, String> record : records) {
            out.println("RECORD " + encode(record.destination()) + " " + encode(record.key()) + " "
                + encode(record.value()));
            committer.markProcessed(record);
            if (record.destination().endsWith(".the_end")) ended.countDown();
          }
          committer.markBatchFinished();
        })
        .using((success, message, error) -> {
          if (!success) {
            System.err.println("FAILED " + message);
            if (error != null) error.printStackTrace();
          }
          ended.countDown();
        })
        .build();
    Thread thread = new Thread(engine);
    thread.start();
    ended.await();
    engine.close();
    System.exit(0);
  }

  private static String encode(String text) {
    return text == null ? "-" : Base64.getEncoder().encodeToString(text.getBytes(StandardCharsets.UTF_8));
  }
}
