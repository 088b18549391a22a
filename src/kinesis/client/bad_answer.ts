/** An answer that cannot be one of Kinesis: like a broken connection, something to try again. */
export function badAnswer(operation: string, found: string): Error {
  return Object.assign(new Error(`${operation} was answered with ${found}`), { code: "BadAnswer" });
}
