/** A stream by its ARN: in a region, and maybe in another account than the credentials. */
export interface StreamArn {
  readonly arn: string;
  readonly region: string;
  /** Twelve digits. */
  readonly account: string;
  readonly name: string;
}

/** https://docs.aws.amazon.com/kinesis/latest/APIReference/API_StreamDescriptionSummary.html: StreamARN. */
const FORM =
  /^arn:aws[a-z0-9-]*:kinesis:([a-z0-9-]{1,63}):(\d{12}):stream\/([a-zA-Z0-9_.-]{1,128})$/;

/** Undefined: the text is none; a stream's name cannot be taken for one, as it has no colon. */
export function parseStreamArn(text: string): StreamArn | undefined {
  const match = FORM.exec(text);
  if (match === null) return undefined;
  const [arn, region, account, name] = match as unknown as [string, string, string, string];
  return { arn, region, account, name };
}

/** How a call of the API names a stream that the operator gave by its name or its ARN. */
export function streamParameter(
  stream: string,
): { readonly StreamName: string } | { readonly StreamARN: string } {
  return parseStreamArn(stream) === undefined ? { StreamName: stream } : { StreamARN: stream };
}
