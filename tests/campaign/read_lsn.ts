/** `16/B374D848`, read without the help of pg2kinesis. */
export function readLsn(text: string): bigint {
  const [high, low] = text.split("/");
  return BigInt(`0x${high}`) << 32n | BigInt(`0x${low}`);
}
