import { UsageError } from "../base/errors.ts";
import { parseStreamArn } from "../kinesis/client/stream_arn.ts";
import { parseRoute } from "../routes/route.ts";
import { defaultedFlag, listFlag, optionalFlag, switchFlag } from "./flag.ts";
import { choice, duration, integer } from "../base/value_parsers.ts";

const DEFAULT_STREAM = "pg2kinesis";

export const streamFlags = {
  streamName: listFlag({
    name: "stream-name",
    letter: "k",
    category: "stream",
    placeholder: "NAME",
    defaultText: DEFAULT_STREAM,
    commands: ["run", "check", "tail", "plan"],
    short: "the stream, by name or ARN",
    long:
      "The name of the Kinesis data stream, in the region and account of the AWS settings; or " +
      "its ARN, which includes both: `arn:aws:kinesis:eu-west-1:123456789012:stream/orders`. A " +
      "stream of another account needs a resource policy that allows access. `tail` takes several: " +
      "repeat the flag, or separate the names with commas in the variable.",
    parse: streamName,
    otherwise: DEFAULT_STREAM,
  }),
  route: listFlag({
    name: "route",
    category: "stream",
    placeholder: "PATTERN=STREAM",
    short: "what matches goes to another stream",
    long: "The changes of tables whose `schema.table`, or that of a table above it (partition or " +
      "inheritance), matches PATTERN go to STREAM instead of the stream of `--stream-name`; `*` stands " +
      "for any characters, `?` for one. `message:PATTERN` takes the logical messages whose prefix " +
      "matches. STREAM is a name, an ARN, or either with `{schema}` and `{table}`, whose characters that " +
      "Kinesis does not take become `_`; `-` leaves out what matches. May be given several times; the " +
      "first one that matches counts, and those of the command line come before those of the " +
      "environment and of the file, where each is a table `[[route]]` with `pattern` and `stream`.",
    cumulative: true,
    tableKeys: ["pattern", "stream"],
    parse: parseRoute,
  }),
  createStream: switchFlag({
    name: "create-stream",
    category: "stream",
    short: "create the stream if it does not exist",
    long:
      "Create the stream if it does not exist, and wait until it is active. Without this flag a " +
      "missing stream is an error.",
  }),
  shardCount: optionalFlag({
    name: "shard-count",
    category: "stream",
    placeholder: "N",
    defaultText: "1",
    short: "shards of a created stream; 0: on demand",
    long: "The number of shards for `--create-stream`; 0 selects the on-demand mode. An existing " +
      "stream is left as it is.",
    parse: integer({ min: 0, max: 100_000 }),
  }),
  aggregation: defaultedFlag({
    name: "aggregation",
    category: "stream",
    placeholder: "HOW",
    defaultText: "kpl",
    short: "aggregated records: kpl (default) or none",
    long: "`kpl`: pack changes into aggregated records in the format of the Kinesis Producer " +
      "Library, which AWS's consumers unpack; the fastest and cheapest. `none`: one record per " +
      "change, for consumers that cannot unpack; changes of the same partition key then take a " +
      "round trip each.",
    parse: choice(["kpl", "none"]),
  }),
  linger: defaultedFlag({
    name: "linger",
    category: "stream",
    placeholder: "TIME",
    defaultText: "0",
    short: "wait for more changes before a put",
    long:
      "How long a shard waits for more changes before a put that is not full. With 0, an idle " +
      "shard puts at once, and a busy one collects changes behind its request; one that puts more " +
      "than 1 MiB in a second, as from a backlog, waits 10ms. A longer time saves PUT payload " +
      "units and costs latency.",
    parse: duration({ min: "1ms", max: "1m" }),
  }),
  kinesisWire: defaultedFlag({
    name: "kinesis-wire",
    category: "stream",
    placeholder: "FORMAT",
    defaultText: "json",
    short: "encoding of puts: json (default) or cbor",
    long:
      "How puts are encoded. `json`: JSON 1.1, with the data in base64. `cbor`: CBOR 1.1, the " +
      "default of AWS's Java SDK: a quarter fewer bytes to send, for more CPU time.",
    parse: choice(["json", "cbor"]),
  }),
};

/** https://docs.aws.amazon.com/kinesis/latest/APIReference/API_CreateStream.html: `[a-zA-Z0-9_.-]+`, 1 to 128. */
function streamName(value: string): string {
  if (/^[a-zA-Z0-9_.-]{1,128}$/.test(value)) return value;
  if (parseStreamArn(value) !== undefined) return value;
  if (value.startsWith("arn:")) {
    throw new UsageError(
      `${JSON.stringify(value)} is not the ARN of a stream; write it like ` +
        "arn:aws:kinesis:eu-west-1:123456789012:stream/orders",
    );
  }
  throw new UsageError(
    `${JSON.stringify(value)} cannot be a stream's name; it has 1 to 128 letters, digits and _ . -`,
  );
}
