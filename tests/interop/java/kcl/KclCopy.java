import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.math.BigInteger;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.awssdk.http.Protocol;
import software.amazon.awssdk.http.nio.netty.NettyNioAsyncHttpClient;
import software.amazon.awssdk.protocols.jsoncore.JsonNode;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.cloudwatch.CloudWatchAsyncClient;
import software.amazon.awssdk.services.dynamodb.DynamoDbAsyncClient;
import software.amazon.awssdk.services.kinesis.KinesisAsyncClient;
import software.amazon.kinesis.common.ConfigsBuilder;
import software.amazon.kinesis.common.InitialPositionInStream;
import software.amazon.kinesis.common.InitialPositionInStreamExtended;
import software.amazon.kinesis.coordinator.Scheduler;
import software.amazon.kinesis.lifecycle.events.InitializationInput;
import software.amazon.kinesis.lifecycle.events.LeaseLostInput;
import software.amazon.kinesis.lifecycle.events.ProcessRecordsInput;
import software.amazon.kinesis.lifecycle.events.ShardEndedInput;
import software.amazon.kinesis.lifecycle.events.ShutdownRequestedInput;
import software.amazon.kinesis.metrics.NullMetricsFactory;
import software.amazon.kinesis.processor.ShardRecordProcessor;
import software.amazon.kinesis.processor.SingleStreamTracker;
import software.amazon.kinesis.retrieval.KinesisClientRecord;
import software.amazon.kinesis.retrieval.polling.PollingConfig;

/**
 * An application of the Kinesis Client Library that applies what pg2kinesis -f JSON publishes to a table in
 * memory, by the rules of docs/consuming.md. It answers each line on stdin with the table, as a line:
 *
 *     {"records":N,"applied":N,"shardsEnded":N,"rows":[…]}
 *
 * Arguments: stream, application, endpoint of Kinesis, endpoint of DynamoDB.
 */
public class KclCopy {
  record Row(String position, JsonNode key, JsonNode after) {}

  static final Map<String, Row> rows = new ConcurrentHashMap<>();
  static final Map<String, String> positions = new ConcurrentHashMap<>();
  static int records, applied, shardsEnded;

  /** One place for all shards, whose threads take turns. */
  static synchronized void apply(KinesisClientRecord record) {
    records++;
    var change = JsonNode.parser().parse(StandardCharsets.UTF_8.decode(record.data()).toString());
    var field = change.asObject();
    var op = field.get("op").asString();
    var table = field.get("schema").asString() + "." + field.get("table").asString();
    var lsn = field.get("commit_lsn").asString().split("/");
    var position = "%010d/%016x/%016d".formatted(Long.parseLong(field.get("timeline").asNumber()),
        new BigInteger(lsn[0], 16).shiftLeft(32).add(new BigInteger(lsn[1], 16)),
        Long.parseLong(field.get("seq").asNumber()));
    if (op.equals("truncate")) {
      rows.entrySet().removeIf(row ->
          row.getKey().startsWith(table + ":") && row.getValue().position().compareTo(position) < 0);
      return;
    }
    if (position.compareTo(positions.getOrDefault(record.partitionKey(), "")) <= 0) return;
    applied++;
    if (op.equals("delete")) rows.remove(record.partitionKey());
    else rows.put(record.partitionKey(), new Row(position, field.get("key"), field.get("after")));
    positions.put(record.partitionKey(), position);
  }

  static class Processor implements ShardRecordProcessor {
    @Override
    public void initialize(InitializationInput input) {
      System.err.println("COPY reads " + input.shardId());
    }

    @Override
    public void processRecords(ProcessRecordsInput input) {
      input.records().forEach(KclCopy::apply);
      checkpoint(() -> input.checkpointer().checkpoint());
    }

    @Override
    public void shardEnded(ShardEndedInput input) {
      synchronized (KclCopy.class) {
        shardsEnded++;
      }
      checkpoint(() -> input.checkpointer().checkpoint());
    }

    @Override
    public void leaseLost(LeaseLostInput input) {}

    @Override
    public void shutdownRequested(ShutdownRequestedInput input) {}
  }

  interface Checkpoint {
    void run() throws Exception;
  }

  static void checkpoint(Checkpoint checkpoint) {
    try {
      checkpoint.run();
    } catch (Exception error) {
      System.err.println("COPY checkpoint: " + error);
    }
  }

  static synchronized String dump() {
    var text = new StringBuilder();
    text.append("{\"records\":").append(records).append(",\"applied\":").append(applied)
        .append(",\"shardsEnded\":").append(shardsEnded).append(",\"rows\":[");
    var separator = "";
    for (var row : new TreeMap<>(rows).values()) {
      text.append(separator).append(JsonText.of(row.after()));
      separator = ",";
    }
    return text.append("]}").toString();
  }

  public static void main(String[] args) throws Exception {
    var stream = args[0];
    var application = args[1];
    var region = Region.US_EAST_1;
    var credentials = StaticCredentialsProvider.create(
        AwsBasicCredentials.create("AKIATESTTESTTESTTEST", "test-secret"));
    var http = NettyNioAsyncHttpClient.builder().protocol(Protocol.HTTP1_1).maxConcurrency(100);
    var kinesis = KinesisAsyncClient.builder().region(region).credentialsProvider(credentials)
        .endpointOverride(URI.create(args[2])).httpClientBuilder(http).build();
    var dynamo = DynamoDbAsyncClient.builder().region(region).credentialsProvider(credentials)
        .endpointOverride(URI.create(args[3])).httpClientBuilder(http).build();
    var cloudWatch = CloudWatchAsyncClient.builder().region(region).credentialsProvider(credentials)
        .endpointOverride(URI.create(args[3])).httpClientBuilder(http).build();
    var start = InitialPositionInStreamExtended.newInitialPosition(InitialPositionInStream.TRIM_HORIZON);
    var configs = new ConfigsBuilder(new SingleStreamTracker(stream, start), application, kinesis,
        dynamo, cloudWatch, "worker", Processor::new);
    var leases = configs.leaseManagementConfig().failoverTimeMillis(2000).shardSyncIntervalMillis(1000)
        .leasesRecoveryAuditorExecutionFrequencyMillis(2000);
    leases.workerUtilizationAwareAssignmentConfig().disableWorkerMetrics(true);
    var polling = new PollingConfig(stream, kinesis).idleTimeBetweenReadsInMillis(1000);
    var scheduler = new Scheduler(configs.checkpointConfig(),
        configs.coordinatorConfig().parentShardPollIntervalMillis(500).shardConsumerDispatchPollIntervalMillis(200),
        leases, configs.lifecycleConfig(),
        configs.metricsConfig().metricsFactory(new NullMetricsFactory()), configs.processorConfig(),
        configs.retrievalConfig().retrievalSpecificConfig(polling));
    var thread = new Thread(scheduler, "scheduler");
    thread.setDaemon(true);
    thread.start();
    var in = new BufferedReader(new InputStreamReader(System.in));
    while (in.readLine() != null) System.out.println(dump());
    Runtime.getRuntime().halt(0);
  }
}
