import { assertEquals, assertThrows } from "@std/assert";
import { fillIn } from "../../src/kinesis/base64_body.ts";

const read = (body: Uint8Array) => JSON.parse(new TextDecoder().decode(body));

Deno.test("fillIn puts the base64 of each record in its place, whatever the other members say", () => {
  const key = '"Data":"" é 😀';
  const template = JSON.stringify({
    Records: [{ Data: "", PartitionKey: key }, { PartitionKey: "b", Data: "" }, { Data: "" }],
    StreamName: "s",
  });
  const data = [Uint8Array.of(0, 255, 16, 7), new Uint8Array(0), Uint8Array.of(65)];
  const expected = {
    Records: [
      { Data: "AP8QBw==", PartitionKey: key },
      { PartitionKey: "b", Data: "" },
      { Data: "QQ==" },
    ],
    StreamName: "s",
  };
  assertEquals(read(fillIn(template, data)), expected);
  assertEquals(read(fillIn(new TextEncoder().encode(template), data)), expected);
});

Deno.test("fillIn takes a view into a larger buffer for the bytes it is", () => {
  const whole = new TextEncoder().encode('....{"Data":""}....');
  const data = Uint8Array.of(1, 2, 3, 4).subarray(1, 3);
  assertEquals(read(fillIn(whole.subarray(4, 15), [data])), { Data: "AgM=" });
});

Deno.test("fillIn refuses a JSON text without the place for the data", () => {
  assertThrows(() => fillIn('{"Data":"","StreamName":"s"}', [NONE, NONE]), Error, "please report");
});

const NONE = new Uint8Array(0);
