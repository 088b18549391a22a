import { Buffer } from "node:buffer";
import { fromText, type ValueEncoder } from "../typed/encoder.ts";
import { type Quoted, quotedAt } from "../typed/quoted.ts";
import { refuseTooLarge } from "../record_limit.ts";
import { Utf8Writer } from "../utf8_writer.ts";
import { floatJson } from "./float.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

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
export const HSTORE: ValueEncoder = {
  json(text) {
    const bytes = encoder.encode(text);
    const object = hstoreObject(bytes, 0, bytes.length);
    return JSON.stringify(object === undefined ? text : decoder.decode(object));
  },
  copy(bytes, start, end, out) {
    const object = hstoreObject(bytes, start, end);
    return object !== undefined && out.jsonString(object, 0, object.length);
  },
};

const ARROW = encoder.encode("=>"), NULL = encoder.encode("NULL"), COMMA = encoder.encode(", ");

/** Undefined: it is no hstore. */
function hstoreObject(bytes: Uint8Array, start: number, end: number): Uint8Array | undefined {
  const out = new Utf8Writer(end - start + 64);
  out.text("{");
  for (let at = start; at < end;) {
    const key = quotedAt(bytes, at, end);
    if (key === undefined || !startsWith(bytes, ARROW, key.next, end)) return undefined;
    if (at > start) out.text(",");
    writeString(key, out);
    out.text(":");
    at = key.next + ARROW.length;
    if (startsWith(bytes, NULL, at, end)) {
      out.text("null");
      at += NULL.length;
    } else {
      const value = quotedAt(bytes, at, end);
      if (value === undefined) return undefined;
      writeString(value, out);
      at = value.next;
    }
    refuseTooLarge(out.length);
    if (at === end) break;
    if (!startsWith(bytes, COMMA, at, end)) return undefined;
    at += COMMA.length;
  }
  out.text("}");
  return out.written;
}

function writeString({ bytes, start, end }: Quoted, out: Utf8Writer): void {
  if (out.jsonString(bytes, start, end)) return;
  out.text(JSON.stringify(decoder.decode(bytes.subarray(start, end))));
}

function startsWith(bytes: Uint8Array, what: Uint8Array, at: number, end: number): boolean {
  if (at + what.length > end) return false;
  for (let i = 0; i < what.length; i++) if (bytes[at + i] !== what[i]) return false;
  return true;
}
