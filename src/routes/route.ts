import { UsageError } from "../base/errors.ts";
import type { Route } from "../options.ts";
import { parseStreamArn } from "../kinesis/client/stream_arn.ts";

/** What stands for a stream's name to leave out what matches. */
export const DROP = "-";

const MESSAGE = "message:";
/** https://docs.aws.amazon.com/kinesis/latest/APIReference/API_CreateStream.html: `[a-zA-Z0-9_.-]+`, 1 to 128. */
const STREAM_NAME = /^[a-zA-Z0-9_.-]{1,128}$/;
const MAX_STREAM_NAME = 128;
const PLACEHOLDER = /\{([^{}]*)\}/g;

/**
 * Reads `PATTERN=STREAM`. What stands behind the last `=` is the stream: its name has none.
 * @throws {UsageError}
 */
export function parseRoute(text: string): Route {
  const at = text.lastIndexOf("=");
  const [pattern, stream] = at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
  if (pattern === "" || stream === "") {
    throw new UsageError(
      `${JSON.stringify(text)} is no route; write PATTERN=STREAM, such as public.orders=orders`,
    );
  }
  const isMessage = pattern.startsWith(MESSAGE);
  const glob = isMessage ? pattern.slice(MESSAGE.length) : pattern;
  if (isMessage && glob === "") {
    throw new UsageError(
      `${
        JSON.stringify(text)
      } names no prefix; write message:PREFIX=STREAM, such as message:app.*=events`,
    );
  }
  if (!isMessage && !glob.includes(".") && !/[*?]/.test(glob)) {
    throw new UsageError(
      `${
        JSON.stringify(glob)
      } can match no schema.table; write public.${glob}=${stream} or *.${glob}=${stream}`,
    );
  }
  if (stream === DROP) return { of: isMessage ? "message" : "table", glob, stream: undefined };
  checkStream(stream, isMessage);
  return { of: isMessage ? "message" : "table", glob, stream };
}

function checkStream(stream: string, isMessage: boolean): void {
  for (const [placeholder, word] of stream.matchAll(PLACEHOLDER)) {
    if (word !== "schema" && word !== "table") {
      throw new UsageError(
        `there is no ${placeholder}; a stream's name is made of {schema} and {table}`,
      );
    }
    if (isMessage) {
      throw new UsageError(`a message has no ${placeholder}; name the stream of its prefix`);
    }
  }
  // Whoever names a table chooses neither the region nor the account.
  const name = stream.slice(stream.lastIndexOf("/") + 1);
  if (isTemplate(stream.slice(0, stream.length - name.length))) {
    throw new UsageError(
      `${
        JSON.stringify(stream)
      }: {schema} and {table} can stand in the stream's name only, behind stream/`,
    );
  }
  const example = stream.replace(PLACEHOLDER, "x");
  if (STREAM_NAME.test(example) || parseStreamArn(example) !== undefined) return;
  throw new UsageError(
    `${
      JSON.stringify(stream)
    } is neither a stream's name (1 to ${MAX_STREAM_NAME} letters, digits and ` +
      "_ . -), nor its ARN, nor one of them with {schema} and {table}, nor - for none",
  );
}

/** Whether the stream's name is made of the table's. */
export function isTemplate(stream: string): boolean {
  return stream.includes("{");
}

/**
 * The stream of a table. What Kinesis does not take in a name becomes `_`; a name that is too long is
 * for the service to refuse, or for `check`.
 */
export function fillIn(template: string, schema: string, table: string): string {
  return template.replace(
    PLACEHOLDER,
    (_, word) => (word === "schema" ? schema : table).replace(/[^a-zA-Z0-9_.-]/gu, "_"),
  );
}

/** Whether Kinesis takes a name, or the name in an ARN. */
export function isStreamName(stream: string): boolean {
  return STREAM_NAME.test(stream) || parseStreamArn(stream) !== undefined;
}

/** The route as it was given. */
export function routeText({ of, glob, stream }: Route): string {
  return `${of === "message" ? MESSAGE : ""}${glob}=${stream ?? DROP}`;
}

/**
 * The streams that there are whatever tables there are: those whose names are no templates. The one of what has
 * no route is not among them where every table has one.
 */
export function fixedStreams(routes: readonly Route[], otherwise: string): readonly string[] {
  const fixed = routes.flatMap(({ stream }) =>
    stream === undefined || isTemplate(stream) ? [] : [stream]
  );
  const takesAll = routes.some(({ of, glob }) => of === "table" && /^\*+(\.\*+)?$/.test(glob));
  return [...new Set(takesAll ? fixed : [...fixed, otherwise])];
}
