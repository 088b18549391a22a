import { Buffer } from "node:buffer";
import { fromText, type ValueEncoder } from "../typed/encoder.ts";
import { quotedAt } from "../typed/quoted.ts";
import { floatJson } from "./float.ts";

/** `(1.5,-2)`: `{"x":1.5,"y":-2.0,"wkb":"…","srid":null}`. */
export const POINT: ValueEncoder = fromText((text) => {
  const match = /^\(([^,()]+),([^,()]+)\)$/.exec(text);
  if (match === null) return JSON.stringify(text);
  const [x, y] = [match[1]!, match[2]!];
  const wkb = Buffer.alloc(21);
  wkb.writeUInt8(LITTLE_ENDIAN, 0);
  wkb.writeUInt32LE(WKB_POINT, 1);
  wkb.writeDoubleLE(Number(x), 5);
  wkb.writeDoubleLE(Number(y), 13);
  return `{"x":${floatJson(x)},"y":${floatJson(y)},"wkb":"${wkb.toString("base64")}","srid":null}`;
});

/** PostGIS prints hexadecimal EWKB: `{"wkb":"…","srid":4326}`. */
export const GEOMETRY: ValueEncoder = fromText((text) => {
  if (text.length < 18 || text.length % 2 !== 0 || /[^0-9A-Fa-f]/.test(text)) {
    return JSON.stringify(text);
  }
  const wkb = Buffer.from(text, "hex");
  const isLittle = wkb[0] !== 0;
  const type = isLittle ? wkb.readUInt32LE(1) : wkb.readUInt32BE(1);
  const hasSrid = (type & EWKB_SRID) !== 0;
  const srid = !hasSrid ? null : isLittle ? wkb.readInt32LE(5) : wkb.readInt32BE(5);
  return `{"wkb":"${wkb.toString("base64")}","srid":${srid}}`;
});

const LITTLE_ENDIAN = 1, WKB_POINT = 1;
/** PostGIS's flag in the type of a geometry: four bytes of SRID follow. */
const EWKB_SRID = 0x2000_0000;

/** pgvector's `vector` and `halfvec`, `[1,2.5]`: an array of numbers. */
export const VECTOR: ValueEncoder = fromText((text) =>
  /^\[[^\]]*\]$/.test(text)
    ? `[${text.slice(1, -1).split(",").map(floatJson).join(",")}]`
    : JSON.stringify(text)
);

/** pgvector's `sparsevec`, `{1:1.5,3:2}/5`. */
export const SPARSE_VECTOR: ValueEncoder = fromText((text) => {
  const match = /^\{(.*)\}\/(\d+)$/.exec(text);
  if (match === null) return JSON.stringify(text);
  const entries = match[1] === "" ? [] : match[1]!.split(",").map((entry) => {
    const [index, value] = entry.split(":");
    return `"${index}":${floatJson(value ?? "")}`;
  });
  return `{"dimensions":${match[2]},"vector":{${entries.join(",")}}}`;
});

/** `"a"=>"1", "b"=>NULL`: a string that holds the JSON of an object (`hstore.handling.mode=json`). */
export const HSTORE: ValueEncoder = fromText((text) => {
  const entries: string[] = [];
  let at = 0;
  while (at < text.length) {
    const key = quotedAt(text, at);
    if (key === undefined || !text.startsWith("=>", key.end)) return JSON.stringify(text);
    const start = key.end + 2;
    const value = text.startsWith("NULL", start)
      ? { text: null, end: start + "NULL".length }
      : quotedAt(text, start);
    if (value === undefined) return JSON.stringify(text);
    entries.push(`${JSON.stringify(key.text)}:${JSON.stringify(value.text)}`);
    at = value.end;
    if (at === text.length) break;
    if (!text.startsWith(", ", at)) return JSON.stringify(text);
    at += 2;
  }
  return JSON.stringify(`{${entries.join(",")}}`);
});
