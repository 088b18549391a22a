/**
 * Secrets never leave the program. What is registered here is cut out of every log line and every
 * error that is shown, whoever wrote it: a library may put a password into its message.
 */
const forms = new Set<string>();
let longestFirst: readonly string[] = [];

/** Anything shorter cannot be told from ordinary text; hiding it would only garble the log. */
const MIN_SECRET_LENGTH = 3;

/** From now on the value is shown as `***`, also where it is percent-encoded or inside JSON. */
export function registerSecret(value: string | undefined): void {
  if (value === undefined || value.length < MIN_SECRET_LENGTH) return;
  forms.add(value);
  forms.add(JSON.stringify(value).slice(1, -1));
  forms.add(encodeURI(value.toWellFormed()));
  forms.add(encodeURIComponent(value.toWellFormed()));
  // A secret may hold another one, and the shorter one's stars would save the rest of the longer.
  longestFirst = [...forms].sort((a, b) => b.length - a.length);
}

/** What makes a presigned URL, or a token for RDS, worth stealing: there is a new one for every use. */
const SIGNATURE = /(X-Amz-(?:Signature|Security-Token)(?:=|%3D))[\w.~%+/=-]+/gi;

export function redact(text: string): string {
  if (/X-Amz-S/i.test(text)) text = text.replace(SIGNATURE, "$1***");
  for (const form of longestFirst) text = text.replaceAll(form, "***");
  return text;
}
