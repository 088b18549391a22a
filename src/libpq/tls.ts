import { isIP } from "node:net";
import type { ConnectionOptions } from "node:tls";
import type { PostgresOptions } from "../options.ts";
import { RunError } from "../base/errors.ts";
import { whyUnreadable } from "../base/why_unreadable.ts";

/** One way to open a connection. */
export type Encryption =
  | { readonly kind: "plain" }
  | {
    readonly kind: "tls";
    readonly options: ConnectionOptions;
    /** Whether SCRAM may bind the login to this TLS channel. */
    readonly mayBind: boolean;
  };

/**
 * The ways to try, in order, for one host and a mode of
 * https://www.postgresql.org/docs/current/libpq-ssl.html#LIBPQ-SSL-PROTECTION.
 * As in libpq, certificates are verified in every mode as soon as there is a file of roots; the
 * host's name is with `verify-full` only. Reads the certificate files.
 */
export async function waysToConnect(host: string, options: PostgresOptions): Promise<Encryption[]> {
  const plain: Encryption = { kind: "plain" };
  if (options.sslMode === "disable" || isSocketFolder(host)) return [plain];
  const encrypted: Encryption = {
    kind: "tls",
    options: await tlsOptions(host, options),
    mayBind: options.channelBinding !== "disable" && isTlsComplete(),
  };
  switch (options.sslMode) {
    case "allow":
      return [plain, encrypted];
    case "prefer":
      return [encrypted, plain];
    case "require":
    case "verify-ca":
    case "verify-full":
      return [encrypted];
    default:
      return options.sslMode satisfies never;
  }
}

/** A host that is the folder of a Unix socket. */
export function isSocketFolder(host: string): boolean {
  return host.startsWith("/");
}

/** Where OpenSSL builds look for the system's roots: Debian, Red Hat, SUSE, Alpine and macOS. */
const SYSTEM_ROOTS = [
  "/etc/ssl/certs/ca-certificates.crt",
  "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
  "/etc/pki/tls/certs/ca-bundle.crt",
  "/etc/ssl/ca-bundle.pem",
  "/etc/ssl/cert.pem",
];

async function tlsOptions(host: string, options: PostgresOptions): Promise<ConnectionOptions> {
  const { sslMode, sslRootCert, sslCert, sslKey } = options;
  const verify = sslRootCert !== undefined || sslMode === "verify-ca" || sslMode === "verify-full";
  refuseWhatOldDenoCannot(options, verify);

  const tls: ConnectionOptions = { rejectUnauthorized: verify };
  // An address is no server name (RFC 6066, section 3).
  if (isIP(host) === 0) tls.servername = host;
  if (sslRootCert !== undefined) {
    const roots = sslRootCert === "system"
      ? await systemRoots()
      : await read(sslRootCert, "CA certificates");
    if (roots !== undefined) tls.ca = roots;
  }
  if (verify && sslMode !== "verify-full") tls.checkServerIdentity = () => undefined;
  if (sslCert !== undefined && sslKey !== undefined) {
    tls.cert = await read(sslCert, "client certificate");
    await refuseOpenKey(sslKey);
    tls.key = await read(sslKey, "private key");
  }
  return tls;
}

/**
 * TLS of Deno 2.4 verifies the host's name whenever it verifies, sends no client certificate, and
 * does not show the server's, which channel binding needs.
 */
function refuseWhatOldDenoCannot(
  { sslMode, sslCert, channelBinding }: PostgresOptions,
  verify: boolean,
): void {
  if (isTlsComplete()) return;
  const old = `this program was built with Deno ${Deno.version.deno}, whose TLS cannot`;
  if (sslCert !== undefined) {
    throw new RunError(
      `${old} send a client certificate; use one built with Deno 2.9 or newer, or log in with a password`,
    );
  }
  if (channelBinding === "require") {
    throw new RunError(
      `${old} do channel binding; use one built with Deno 2.9 or newer, or channel_binding=prefer ` +
        "with --pg-sslmode verify-full",
    );
  }
  if (verify && sslMode !== "verify-full") {
    throw new RunError(
      `${old} check the authority without checking the host's name, as --pg-sslmode ${sslMode} ` +
        "with root certificates asks; use verify-full, or one built with Deno 2.9 or newer",
    );
  }
}

/** Whether TLS of the Deno that runs this does all that libpq's does. */
export function isTlsComplete(): boolean {
  const [major = 0, minor = 0] = Deno.version.deno.split(".").map(Number);
  return major > 2 || (major === 2 && minor >= 9);
}

/** Undefined leaves the choice to Deno: its own list, or the system's on Windows. */
async function systemRoots(): Promise<string | undefined> {
  const chosen = Deno.env.get("SSL_CERT_FILE");
  if (chosen) return await read(chosen, "system's CA certificates (SSL_CERT_FILE)");
  for (const path of SYSTEM_ROOTS) {
    try {
      return await Deno.readTextFile(path);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) {
        throw unreadable(path, "system's CA certificates", error);
      }
    }
  }
  return undefined;
}

/** libpq's rule: others may not read it; root's own key may be read by its group. */
async function refuseOpenKey(path: string): Promise<void> {
  if (Deno.build.os === "windows") return;
  const { mode, uid } = await Deno.stat(path).catch((error) => {
    throw unreadable(path, "private key", error);
  });
  const forbidden = uid === 0 ? 0o037 : 0o077;
  if (mode !== null && (mode & forbidden) !== 0) {
    throw new RunError(
      `the private key ${path} can be read by others; run chmod 0600 ${path} (or 0640 where root owns it)`,
    );
  }
}

async function read(path: string, what: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    throw unreadable(path, what, error);
  }
}

function unreadable(path: string, what: string, cause: unknown): RunError {
  return new RunError(`cannot read the ${what} ${path}: ${whyUnreadable(cause)}`, { cause });
}
