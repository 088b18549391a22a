import { Buffer } from "node:buffer";

/**
 * Secrets never leave the program. What is registered here is cut out of every log line and every
 * error that is shown, whoever wrote it: a library may put a password into its message.
 *
 * A secret such as `k9#xP2` is hidden wherever it stands. One that is a word, as in
 * `PGPASSWORD=password`, stands in many a sentence that has nothing to do with it, and one that is also
 * the name of the role, or a part of it, in statements that are to be run: such a one is hidden where a
 * secret can stand, as in a URL or behind `password=`.
 */
const secrets = new Set<string>();
const publicNames = new Set<string>();
let strongLongestFirst: readonly string[] = [];
let weakInPlace: readonly RegExp[] = [];

/** Letters alone up to here may be a word; longer ones are none. */
const WORD = /^\p{L}{1,16}$/u;
/** A port, a year, a count. */
const NUMBER = /^\p{N}{1,8}$/u;
/** Anything as short as that is a part of other words. */
const MIN_STRONG_LENGTH = 4;
/** Base64 of less is found in what has nothing to do with it. */
const MIN_ENCODED_LENGTH = 6;

/** From now on the value is shown as `***`, also percent-encoded, in base64 or inside JSON. */
export function registerSecret(value: string | undefined): void {
  if (value === undefined || value === "" || secrets.has(value)) return;
  secrets.add(value);
  sortOut();
}

/** What the operator calls things openly: a secret that is the same text, or a part of it, must not garble it. */
export function registerPublicName(name: string): void {
  if (publicNames.has(name)) return;
  publicNames.add(name);
  sortOut();
}

function sortOut(): void {
  const isWeak = (secret: string) =>
    secret.length < MIN_STRONG_LENGTH || WORD.test(secret) || NUMBER.test(secret) ||
    [...publicNames].some((name) => name.includes(secret));
  weakInPlace = [...secrets].filter(isWeak).flatMap(spellings).map(inPlace);
  const forms = [...secrets].filter((secret) => !isWeak(secret))
    .flatMap((secret) => [...spellings(secret), ...encodings(secret)]);
  // A secret may hold another one, and the shorter one's stars would save the rest of the longer.
  strongLongestFirst = [...new Set(forms)].sort((a, b) => b.length - a.length);
}

function spellings(secret: string): string[] {
  const [uri, component] = [
    encodeURI(secret.toWellFormed()),
    encodeURIComponent(secret.toWellFormed()),
  ];
  const lowerCase = component.replace(/%[0-9A-F]{2}/g, (escape) => escape.toLowerCase());
  return [...new Set([secret, JSON.stringify(secret).slice(1, -1), uri, component, lowerCase])];
}

/** Base64, wherever among other bytes the secret begins: of the characters those that it alone decides. */
function encodings(secret: string): string[] {
  const bytes = new TextEncoder().encode(secret);
  if (bytes.length < MIN_ENCODED_LENGTH) return [];
  return [0, 1, 2].flatMap((before) => {
    const shifted = Buffer.concat([Buffer.alloc(before), bytes]);
    const [from, to] = [Math.ceil(before * 8 / 6), Math.floor(shifted.length * 8 / 6)];
    return (["base64", "base64url"] as const).map((form) => shifted.toString(form).slice(from, to));
  });
}

/** What stands before a secret, and nothing else does. */
const BEFORE_A_SECRET = [
  // A URL's password.
  String.raw`:\/\/[^\s/@]*:`,
  // `password=`, `"secret": "`, `PASSWORD '`.
  String.raw`(?i:passw(?:or)?d|pwd|passphrase|secret|token|salt)\w*["']?\s*(?:[=:]\s*["']?|\s["'])`,
].join("|");

function inPlace(form: string): RegExp {
  const escaped = form.replace(/[\\^$.*+?()[\]{}|/]/g, String.raw`\$&`);
  return new RegExp(`(${BEFORE_A_SECRET})${escaped}(?![\\p{L}\\p{N}_])`, "gu");
}

/**
 * What makes a presigned URL, or a token for RDS, worth stealing: there is a new one for every use. And a
 * session token as a header: AWS repeats it in the canonical string that it gives with a wrong signature.
 */
const SIGNATURE =
  /(X-Amz-(?:Signature|Security-Token)\\?["']?\s*(?:=|%3D|:)\s*\\?["']?)[\w.~%+/=-]+/gi;

/** The text, which may be a sentence of ours or somebody else's, without secrets. */
export function redact(text: string): string {
  if (/X-Amz-S/i.test(text)) text = text.replace(SIGNATURE, "$1***");
  for (const form of strongLongestFirst) text = text.replaceAll(form, "***");
  for (const form of weakInPlace) text = text.replace(form, "$1***");
  return text;
}
