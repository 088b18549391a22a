import { assertEquals, assertThrows } from "@std/assert";
import { TooLargeError } from "../../../src/base/errors.ts";
import { debeziumEncoder } from "../../../src/format/debezium/debezium_encoders.ts";
import { parseType } from "../../../src/format/typed/type_spec.ts";
import { Utf8Writer } from "../../../src/format/utf8_writer.ts";
import { randomFrom, randomSeed } from "../../support/random.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** The JSON of a value by both ways, which must agree; the bytes stand in the midst of others. */
function jsonOf(type: string, text: string): string {
  const { json, copy } = debeziumEncoder(parseType(type), "precise");
  const bytes = encoder.encode(`"{\\${text}"}`);
  const out = new Utf8Writer(4);
  out.text("before");
  const isCopied = copy(bytes, 3, bytes.length - 2, out);
  const copied = decoder.decode(out.written);
  assertEquals(copied, isCopied ? `before${json(text)}` : "before", `${type} ${text}`);
  return json(text);
}

Deno.test("arrays become JSON arrays of their elements' form", () => {
  for (
    const [type, text, json] of [
      ["text[]", "{}", "[]"],
      ["text[]", '{a,NULL,"NULL","",null}', '["a",null,"NULL","","null"]'],
      ["text[]", '{"a \\"b\\" \\\\","{,}","é\n"}', '["a \\"b\\" \\\\","{,}","é\\n"]'],
      ["text[]", "[0:1]={a,b}", '["a","b"]'],
      ["text[]", "{{a,b},{c,NULL}}", '[["a","b"],["c",null]]'],
      ["text[]", "{{{{{{1}}}}}}", '[[[[[["1"]]]]]]'],
      ["integer[]", "{1,NULL,-3}", "[1,null,-3]"],
      ["boolean[]", "{t,f,NULL}", "[true,false,null]"],
      ["numeric(10,2)[]", "{1.50,NULL}", '["AJY=",null]'],
      [
        "numeric[]",
        "{10.1111,10,-1.500,0.00,NaN}",
        '[{"scale":4,"value":"AYr3"},{"scale":0,"value":"Cg=="},{"scale":1,"value":"8Q=="},' +
        '{"scale":0,"value":"AA=="},"NAN"]',
      ],
      ["bytea[]", '{"\\\\x00ff"}', '["AP8="]'],
      ["double precision[]", "{1,NaN}", '[1.0,"NaN"]'],
      // The only type with another delimiter.
      ["box[]", "{(1,2),(0,0);(3,4),(1,1)}", '["(1,2),(0,0)","(3,4),(1,1)"]'],
    ] as const
  ) assertEquals(jsonOf(type, text), json, `${type} ${text}`);
});

Deno.test("what is no array, or no hstore, stays text", () => {
  for (
    const text of ["", "{", "{1", "{1,}", "{,1}", "{1}}", "1", "{1}x", "x{1}", '{"a}', "[1:2]"]
  ) {
    assertEquals(jsonOf("text[]", text), JSON.stringify(text));
  }
  const tooDeep = "{".repeat(7) + "}".repeat(7);
  assertEquals(jsonOf("integer[]", tooDeep), JSON.stringify(tooDeep));
  for (
    const text of ["x", '"a"', '"a"=>', '"a"=>"1",', '"a"=>"1" "b"=>"2"', '"a=>"']
  ) {
    assertEquals(jsonOf("hstore", text), JSON.stringify(text));
  }
});

Deno.test("arrays and hstores of any texts come back as they are", () => {
  const random = randomFrom(randomSeed());
  const below = (limit: number) => Math.floor(random() * limit);
  const characters = [
    "a",
    '"',
    "\\",
    ",",
    "{",
    "}",
    " ",
    "\n",
    "\u0001",
    "é",
    "🎉",
    "=",
    ">",
    "NULL",
  ];
  const text = () => Array.from({ length: below(6) }, () => characters[below(14)]).join("");
  const quote = (text: string) => `"${text.replace(/["\\]/g, "\\$&")}"`;
  for (let n = 0; n < 500; n++) {
    const texts = Array.from({ length: below(5) }, () => below(6) === 0 ? null : text());
    const array = `{${texts.map((each) => each === null ? "NULL" : quote(each)).join(",")}}`;
    assertEquals(jsonOf("text[]", array), JSON.stringify(texts));
    const pairs = texts.map((value, i) => [`${i}${text()}`, value] as const);
    const hstore = pairs
      .map(([key, value]) => `${quote(key)}=>${value === null ? "NULL" : quote(value)}`);
    const object = `{${
      pairs.map((pair) => pair.map((each) => JSON.stringify(each)).join(":")).join(",")
    }}`;
    assertEquals(jsonOf("public.hstore", hstore.join(", ")), JSON.stringify(object));
  }
});

Deno.test("an array that a few bytes make larger than any record is not written to its end", () => {
  const copy = (type: string, text: string) => {
    const bytes = encoder.encode(text);
    debeziumEncoder(parseType(type), "precise").copy(bytes, 0, bytes.length, new Utf8Writer());
  };
  assertThrows(() => copy("numeric[]", `{${"1,".repeat(2_000_000)}1}`), TooLargeError);
  assertThrows(() => copy("hstore", `"k"=>"${"\u0001".repeat(4_000_000)}"`), TooLargeError);
});
