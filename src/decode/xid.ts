const MAX_XID = 0xFFFF_FFFF;

/** A transaction id as `%u` prints it; undefined when the text is anything else. */
export function parseXid(text: string | undefined): number | undefined {
  if (text === undefined || !/^(0|[1-9][0-9]{0,9})$/.test(text)) return undefined;
  const xid = Number(text);
  return xid <= MAX_XID ? xid : undefined;
}
