import { UsageError } from "../errors.ts";
import { parseStreamArn } from "../kinesis/stream_arn.ts";
import { COMMANDS, defaultedFlag, optionalFlag, switchFlag } from "./flag.ts";
import { choice, duration, integer } from "./flag_value.ts";

export const streamFlags = {
  streamName: defaultedFlag({
    name: "stream-name",
    letter: "k",
    category: "stream",
    placeholder: "NAME",
    defaultText: "pg2kinesis",
    commands: COMMANDS,
    short: "the stream, by name or ARN",
    long:
      "The name of the Kinesis data stream, in the region and account of the AWS settings; or its " +
      "ARN, which has both: `arn:aws:kinesis:eu-west-1:123456789012:stream/orders`. A stream of " +
      "another account needs a resource policy that allows it.",
    parse: streamName,
  }),
  createStream: switchFlag({
    name: "create-stream",
    category: "stream",
    short: "create the stream if it does not exist",
    long:
      "Create the stream if it does not exist, and wait until it is active. Without it a missing " +
      "stream is an error.",
  }),
  shardCount: optionalFlag({
    name: "shard-count",
    category: "stream",
    placeholder: "N",
    defaultText: "1",
    short: "shards of a created stream; 0: on demand",
    long:
      "How many shards `--create-stream` asks for; 0 asks for the on-demand mode. A stream that " +
      "exists is left as it is.",
    parse: integer({ min: 0, max: 100_000 }),
  }),
  aggregation: defaultedFlag({
    name: "aggregation",
    category: "stream",
    placeholder: "HOW",
    defaultText: "kpl",
    short: "aggregated records: kpl (default) or none",
    long:
      "`kpl`: changes are packed into aggregated records of the Kinesis Producer Library's format, " +
      "which AWS's consumers take apart again; the fastest and cheapest. `none`: one record a " +
      "change, for consumers that cannot; changes of one partition key then go a round trip each.",
    parse: choice(["kpl", "none"]),
  }),
  linger: defaultedFlag({
    name: "linger",
    category: "stream",
    placeholder: "TIME",
    defaultText: "0",
    short: "wait for more before a put",
    long:
      "How long a shard waits for more changes before each put that is not full. With 0 an idle one " +
      "puts at once, and a busy one batches behind its request. More saves put payload units and " +
      "costs latency.",
    parse: duration({ min: "1ms", max: "1m" }),
  }),
  kinesisWire: defaultedFlag({
    name: "kinesis-wire",
    category: "stream",
    placeholder: "FORMAT",
    defaultText: "json",
    short: "how puts are written: json (default) or cbor",
    long:
      "How puts are written. `json`: JSON 1.1, with the data in base64. `cbor`: CBOR 1.1, which " +
      "AWS's Java SDK uses by default: a quarter fewer bytes to send, and a third less CPU time for " +
      "a full put.",
    parse: choice(["json", "cbor"]),
  }),
};

/** https://docs.aws.amazon.com/kinesis/latest/APIReference/API_CreateStream.html: `[a-zA-Z0-9_.-]+`, 1 to 128. */
function streamName(value: string): string {
  if (/^[a-zA-Z0-9_.-]{1,128}$/.test(value)) return value;
  if (parseStreamArn(value) !== undefined) return value;
  if (value.startsWith("arn:")) {
    throw new UsageError(
      `${JSON.stringify(value)} is no stream's ARN, which is like ` +
        "arn:aws:kinesis:eu-west-1:123456789012:stream/orders",
    );
  }
  throw new UsageError(
    `${JSON.stringify(value)} cannot be a stream's name; it has 1 to 128 letters, digits and _ . -`,
  );
}
