import { assertEquals } from "@std/assert";
import { PutRecordCommand, UpdateShardCountCommand } from "@aws-sdk/client-kinesis";
import { waitForActiveStream } from "./kinesalite.ts";
import { hasNode, NO_NODE, startKinesisLocal } from "./kinesis_local.ts";
import { readBack } from "./read_back.ts";

const ignore = !hasNode();
if (ignore) console.warn(NO_NODE);

Deno.test({
  name: "startKinesisLocal keeps what was put through UpdateShardCount",
  ignore,
  fn: async () => {
    await using kinesis = await startKinesisLocal();
    await kinesis.createStream("s", 1);
    const data = new Uint8Array(300_000).fill(200);
    const put = async (PartitionKey: string) => {
      await kinesis.client.send(
        new PutRecordCommand({ StreamName: "s", PartitionKey, Data: data }),
      );
    };
    await put("a");
    await kinesis.client.send(
      new UpdateShardCountCommand({
        StreamName: "s",
        TargetShardCount: 2,
        ScalingType: "UNIFORM_SCALING",
      }),
    );
    await waitForActiveStream(kinesis.client, "s");
    await put("b");
    const stream = await readBack(kinesis.client, "s");
    assertEquals(stream.records.map(({ partitionKey }) => partitionKey), ["a", "b"]);
    assertEquals(stream.records[1]!.data, data);
    assertEquals(stream.shards.map(({ parents }) => parents.length), [0, 1, 1]);
  },
});
