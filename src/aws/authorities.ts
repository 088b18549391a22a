import { RunError } from "../base/errors.ts";
import { whyUnreadable } from "../base/why_unreadable.ts";
import type { Environment } from "./proxy.ts";

/** Which authorities this runtime trusts; it reads the variable when it first needs one. */
const STORES = "DENO_TLS_CA_STORE";

/**
 * Trusts the authorities of the system beside those that the runtime brings, as every other program of
 * the machine does: on Linux the file or folder that SSL_CERT_FILE or SSL_CERT_DIR names, else the
 * distribution's. To be called before the first TLS connection.
 */
export function trustSystemAuthorities(): void {
  if (!Deno.env.get(STORES)) Deno.env.set(STORES, "system,mozilla");
}

/**
 * What is trusted beyond that: the certificates of the file that AWS_CA_BUNDLE names, as PEM. `bundle`
 * is the profile's `ca_bundle`.
 * @throws {RunError} where there are none in it.
 */
export function awsAuthorities(env: Environment, bundle?: string): readonly string[] {
  const fromEnvironment = env.AWS_CA_BUNDLE;
  const path = fromEnvironment || bundle;
  if (!path) return [];
  const what = `${fromEnvironment ? "AWS_CA_BUNDLE" : "the profile's ca_bundle"} (${path})`;
  const pem = readCertificates(path, what);
  if (!pem.includes("-----BEGIN CERTIFICATE-----")) {
    throw new RunError(`${what} holds no certificate in PEM form`);
  }
  return [pem];
}

/** Found here because the runtime's own error does not name the file. */
export function checkSystemAuthorities(env: Environment): void {
  if (env.SSL_CERT_FILE) {
    readCertificates(env.SSL_CERT_FILE, `SSL_CERT_FILE (${env.SSL_CERT_FILE})`);
  }
}

function readCertificates(path: string, what: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (cause) {
    throw new RunError(`${what} cannot be read: ${whyUnreadable(cause)}`, { cause });
  }
}
