/**
 * pgoutput's changes a second time, read with a DataView from a description of the table. Gives the
 * values of both rows; undefined for what is not understood.
 */
export function readPgoutput(
  data: Uint8Array,
  columns: readonly { readonly isKey: boolean; readonly isBoolean: boolean }[],
): Record<string, unknown> | undefined {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  let at = 5;
  const letter = () => String.fromCharCode(view.getUint8(at++));
  const tuple = (isKeyOnly = false) => {
    const count = view.getInt16(at);
    at += 2;
    if (count !== columns.length) throw new RangeError("wrong number of columns");
    return columns.map(({ isBoolean, isKey }) => {
      const kind = letter();
      if (kind === "n") return null;
      if (kind === "u") return "(unchanged)";
      if (kind !== "t") throw new RangeError("unknown kind of value");
      const length = view.getUint32(at);
      at += 4 + length;
      if (at > data.length) throw new RangeError("too long");
      // The server sends none there, and nobody reads one.
      if (isKeyOnly && !isKey) return "";
      const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
        .decode(data.subarray(at - length, at));
      if (!isBoolean) return text;
      if (text !== "t" && text !== "f") throw new RangeError("no boolean");
      return text === "t" ? "true" : "false";
    });
  };
  try {
    const kind = String.fromCharCode(data[0]!);
    let next = letter();
    let oldRow: unknown[] | undefined;
    if (next === "K" || next === "O") {
      const isKeyOnly = next === "K";
      oldRow = tuple(isKeyOnly).filter((_, index) => !isKeyOnly || columns[index]!.isKey);
      if (kind !== "D") next = letter();
    }
    const newRow = next === "N" ? tuple() : undefined;
    const expected = {
      I: oldRow === undefined && newRow !== undefined,
      U: newRow !== undefined,
      D: oldRow !== undefined && newRow === undefined,
    }[kind];
    if (!expected || at !== data.length) return undefined;
    return { newRow, oldRow };
  } catch (error) {
    if (error instanceof RangeError || error instanceof TypeError) return undefined;
    throw error;
  }
}
