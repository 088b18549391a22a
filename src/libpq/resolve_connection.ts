import { isIP } from "node:net";
import {
  type PostgresOptions,
  SSL_MODES,
  type SslMode,
  type TargetSessionAttrs,
} from "../options.ts";
import { UsageError } from "../base/errors.ts";
import { choice, integer } from "../base/value_parsers.ts";
import type { Machine } from "./machine.ts";
import { LIBPQ_SETTINGS } from "./libpq_settings.ts";
import { requireAuth } from "./require_auth.ts";
import { startupOption } from "./startup_option.ts";
import { findService } from "./service_file.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** Settings from one place, by libpq's keywords. */
export interface ConnectionLayer {
  readonly settings: ReadonlyMap<string, string>;
  /** What a person knows the setting as, for messages: `--pg-port`, `PGPORT`. */
  readonly nameOf: (keyword: string) => string;
}

/** libpq has none; without one a run would hang for minutes on a host that swallows packets. */
const DEFAULT_CONNECT_TIMEOUT_MS = 10_000;

const DEFAULT_PORT = "5432";

const TARGET_SESSION_ATTRS: readonly TargetSessionAttrs[] = [
  "any",
  "read-write",
  "read-only",
  "primary",
  "standby",
  "prefer-standby",
];

/**
 * What libpq would connect to, as
 * https://www.postgresql.org/docs/current/libpq-connect.html and libpq-envars.html have it: the
 * given layers in their order, then the service file, then libpq's variables, then the defaults.
 * @throws {UsageError} which shows no URL and no password.
 */
export function resolveConnection(
  given: readonly ConnectionLayer[],
  env: Environment,
  host: Machine,
  auth: PostgresOptions["auth"] = "password",
): { readonly postgres: PostgresOptions; readonly warnings: readonly string[] } {
  const variables = libpqVariables(env);
  const home = env.HOME || env.USERPROFILE || undefined;
  const layers = [...given, ...serviceLayer([...given, variables], env, home, host), variables];
  const look = (keyword: string) => find(layers, keyword);

  refuseBrokenPromises(look);
  const warnings: string[] = [];
  const hosts = resolveHosts(look, host, warnings);
  const user = look("user")?.value ?? (env.USER || env.LOGNAME || env.USERNAME || undefined);
  if (user === undefined) {
    throw new UsageError("no role to log in as; give --pg-user (-u) or set PGUSER");
  }
  const database = look("dbname")?.value;
  if (database === undefined) {
    throw new UsageError("no database to follow; give --pg-dbname (-d) or set PGDATABASE");
  }
  const tls = resolveTls(look, hosts, home, host, env, auth);
  return {
    postgres: {
      hosts,
      database,
      user,
      password: look("password")?.value,
      auth,
      ...tls,
      requireAuth: parsed(look("require_auth"), requireAuth),
      requirePeer: look("requirepeer")?.value,
      targetSessionAttrs: parsed(look("target_session_attrs"), choice(TARGET_SESSION_ATTRS)) ??
        "any",
      connectTimeoutMs: parsed(look("connect_timeout"), connectTimeout) ??
        DEFAULT_CONNECT_TIMEOUT_MS,
      sessionOptions: withTimeZone(look("options")?.value, env.PGTZ),
      passwordFile: look("passfile")?.value,
      applicationName: (look("application_name") ?? look("fallback_application_name"))?.value ??
        "pg2kinesis",
    },
    warnings: [...warnings, ...ignoredSettings(layers), ...ignoredRevocations(tls, home, host)],
  };
}

/** As in libpq, where the variable comes behind the options and so wins. */
function withTimeZone(options: string | undefined, zone: string | undefined): string | undefined {
  if (!zone) return options;
  return [options ?? "", startupOption("TimeZone", zone)].join(" ").trim();
}

interface Setting {
  readonly value: string;
  readonly name: string;
}

type Look = (keyword: string) => Setting | undefined;

/** The first layer that has the setting. An empty value stands for the default, as in libpq. */
function find(layers: readonly ConnectionLayer[], keyword: string): Setting | undefined {
  for (const layer of layers) {
    const value = layer.settings.get(keyword);
    if (value === undefined) continue;
    return value === "" ? undefined : { value, name: layer.nameOf(keyword) };
  }
  return undefined;
}

/** Reads a setting; what is wrong with it is said with its name in front. */
function parsed<Value>(
  setting: Setting | undefined,
  parse: (text: string) => Value,
): Value | undefined {
  if (setting === undefined) return undefined;
  try {
    return parse(setting.value);
  } catch (error) {
    if (error instanceof UsageError) throw new UsageError(`${setting.name}: ${error.message}`);
    throw error;
  }
}

function libpqVariables(env: Environment): ConnectionLayer {
  const settings = new Map<string, string>();
  for (const [keyword, { variable }] of LIBPQ_SETTINGS) {
    const value = variable === undefined ? undefined : env[variable];
    if (value !== undefined && value !== "") settings.set(keyword, value);
  }
  return { settings, nameOf: (keyword) => LIBPQ_SETTINGS.get(keyword)?.variable ?? keyword };
}

function serviceLayer(
  layers: readonly ConnectionLayer[],
  env: Environment,
  home: string | undefined,
  host: Machine,
): ConnectionLayer[] {
  const service = find(layers, "service")?.value;
  if (service === undefined) return [];
  const file = find(layers, "servicefile")?.value;
  const settings = findService(
    service,
    { file, home, systemFolder: env.PGSYSCONFDIR || undefined },
    host,
  );
  return [{ settings, nameOf: (keyword) => `service ${JSON.stringify(service)}, ${keyword}` }];
}

function refuseBrokenPromises(look: Look): void {
  for (const [keyword, { treatment }] of LIBPQ_SETTINGS) {
    if (treatment.kind !== "promise") continue;
    const setting = look(keyword);
    if (setting === undefined || treatment.kept.includes(setting.value)) continue;
    // The value is not shown: some of these are secrets.
    throw new UsageError(
      `${setting.name}: ${keyword} with this value is not supported; ${treatment.instead}`,
    );
  }
}

function ignoredSettings(layers: readonly ConnectionLayer[]): string[] {
  const warnings: string[] = [];
  for (const [keyword, { treatment }] of LIBPQ_SETTINGS) {
    const setting = treatment.kind === "ignored" ? find(layers, keyword) : undefined;
    if (setting !== undefined) warnings.push(`${setting.name}: ${keyword} has no effect here`);
  }
  return warnings;
}

/** libpq looks at this file unasked. Deno 2.9 takes a revocation list, and lets in who is on it. */
function ignoredRevocations(
  { sslRootCert }: TlsOptions,
  home: string | undefined,
  host: Machine,
): string[] {
  const path = `${home}/.postgresql/root.crl`;
  if (sslRootCert === undefined || home === undefined || !host.exists(path)) return [];
  return [`${path} is ignored: this program cannot detect revoked certificates`];
}

function resolveHosts(
  look: Look,
  host: Machine,
  warnings: string[],
): PostgresOptions["hosts"] {
  const hostaddr = look("hostaddr");
  const named = look("host");
  const hosts = ((named ?? hostaddr)?.value ?? "").split(",");
  const addresses = named === undefined ? [] : hostaddr?.value.split(",") ?? [];
  if (addresses.length > 0 && addresses.length !== hosts.length) {
    throw new UsageError(
      `${hostaddr?.name}: ${addresses.length} addresses do not match ${hosts.length} ` +
        `hosts (${named?.name}); give one for each`,
    );
  }
  const addressGiven = named === undefined ? hosts : addresses;
  const bad = hostaddr && addressGiven.find((address) => address !== "" && isIP(address) === 0);
  if (bad) {
    throw new UsageError(
      `${hostaddr.name}: ${JSON.stringify(bad)} is not an IP address; give a name as --pg-host`,
    );
  }
  const portSetting = look("port");
  const ports = (portSetting?.value ?? "").split(",");
  if (ports.length !== 1 && ports.length !== hosts.length) {
    throw new UsageError(
      `${portSetting?.name}: ${ports.length} ports do not match ${hosts.length} ` +
        `host${hosts.length === 1 ? "" : "s"}; give one, or one for each host`,
    );
  }
  const parsePort = integer({ min: 1, max: 65535 });
  return hosts.map((name, index) => {
    const text = ports.length === 1 ? ports[0]! : ports[index]!;
    const port = parsed({ value: text || DEFAULT_PORT, name: portSetting?.name ?? "" }, parsePort)!;
    const address = addresses[index] || undefined;
    // An address without a name is the host.
    const given = name || address;
    if (!given) return defaultPlace(port, host, warnings);
    return { host: given, port, ...(name && address ? { address } : {}) };
  });
}

/** Debian's, most others', and PostgreSQL's own; the executable is built for these alone. */
export const SOCKET_FOLDERS = ["/var/run/postgresql", "/run/postgresql", "/tmp"];

/**
 * libpq knows the one folder it was built with; this program looks where a server listens. In a folder
 * where everybody may make one, a socket is taken only from those who may run a server.
 */
function defaultPlace(
  port: number,
  host: Machine,
  warnings: string[],
): PostgresOptions["hosts"][number] {
  const folders = host.os === "windows"
    ? []
    : SOCKET_FOLDERS.filter((folder) => host.exists(`${folder}/.s.PGSQL.${port}`));
  for (const folder of folders) {
    const doubt = host.distrust(`${folder}/.s.PGSQL.${port}`);
    if (doubt === undefined) return { host: folder, port, guessed: true };
    warnings.push(`no host is given, and ${doubt}`);
  }
  return { host: "localhost", port };
}

const isSocket = (host: string) => host.startsWith("/");

type CertificateFiles = Pick<PostgresOptions, "sslMode" | "sslRootCert" | "sslCert" | "sslKey">;
type TlsOptions = CertificateFiles & Pick<PostgresOptions, "sslNegotiation" | "channelBinding">;

function resolveTls(
  look: Look,
  hosts: PostgresOptions["hosts"],
  home: string | undefined,
  host: Machine,
  env: Environment,
  auth: PostgresOptions["auth"],
): TlsOptions {
  const mode = look("sslmode");
  const rootCert = look("sslrootcert");
  const system = rootCert?.value === "system";
  // As in libpq: the system's authorities sign for anyone, so only the name makes them worth anything.
  const sslMode: SslMode = parsed(mode, choice(SSL_MODES)) ??
    (system ? "verify-full" : auth === "rds-iam" ? "require" : "prefer");
  if (system && sslMode !== "verify-full") {
    throw new UsageError(
      `${mode?.name}: ${sslMode} is too weak for ${rootCert?.name} system; use verify-full`,
    );
  }
  const guessed = hosts.find(({ guessed }) => guessed);
  if (guessed !== undefined && sslMode.startsWith("verify")) {
    throw new UsageError(
      `${
        (mode ?? rootCert)?.name
      }: ${sslMode} checks nothing on a Unix socket, and without a host the ` +
        `one in ${guessed.host} would be taken; name the server with --pg-host, as the certificate ` +
        `has it, or the socket with --pg-host ${guessed.host}`,
    );
  }
  const isAlwaysTls = !["disable", "allow", "prefer"].includes(sslMode);
  const negotiation = look("sslnegotiation");
  const sslNegotiation = parsed(negotiation, choice(["postgres", "direct"])) ?? "postgres";
  if (sslNegotiation === "direct" && !isAlwaysTls) {
    throw new UsageError(
      `${negotiation?.name}: direct cannot fall back to no TLS, as sslmode ${sslMode} would; use ` +
        "require, verify-ca or verify-full",
    );
  }
  const binding = look("channel_binding");
  const channelBinding = parsed(binding, choice(["disable", "prefer", "require"])) ?? "prefer";
  const noTls = sslMode === "disable" || hosts.every(({ host }) => isSocket(host));
  if (channelBinding === "require" && noTls) {
    throw new UsageError(
      `${binding?.name}: require needs TLS, which ${
        sslMode === "disable" ? "sslmode disable" : "a Unix socket"
      } does without`,
    );
  }
  if (auth === "rds-iam") {
    if (!isAlwaysTls) {
      throw new UsageError(
        `${mode?.name}: ${sslMode} may do without TLS, which --pg-auth rds-iam needs; use verify-full`,
      );
    }
    if (hosts.some(({ host }) => isSocket(host))) {
      throw new UsageError("--pg-auth rds-iam needs TLS to a server of RDS, not a Unix socket");
    }
    if (channelBinding === "require") {
      throw new UsageError(
        `${binding?.name}: require is for passwords (SCRAM), and --pg-auth rds-iam has a token`,
      );
    }
  }
  return {
    ...resolveFiles(look, sslMode, noTls, home, host, env),
    sslNegotiation,
    channelBinding,
  };
}

function resolveFiles(
  look: Look,
  sslMode: SslMode,
  noTls: boolean,
  home: string | undefined,
  host: Machine,
  env: Environment,
): CertificateFiles {
  if (noTls) return { sslMode, sslRootCert: undefined, sslCert: undefined, sslKey: undefined };
  const mode = look("sslmode");
  const rootCert = look("sslrootcert");
  const folder = host.os === "windows"
    ? env.APPDATA && `${env.APPDATA}\\postgresql\\`
    : home && `${home}/.postgresql/`;
  const fileOf = (setting: Setting | undefined, defaultName: string) => {
    if (setting !== undefined) {
      if (host.exists(setting.value)) return setting.value;
      throw new UsageError(`${setting.name}: there is no file ${setting.value}`);
    }
    const path = folder && folder + defaultName;
    return path && host.exists(path) ? path : undefined;
  };

  const sslRootCert = rootCert?.value === "system" ? "system" : fileOf(rootCert, "root.crt");
  if (sslRootCert === undefined && (sslMode === "verify-ca" || sslMode === "verify-full")) {
    throw new UsageError(
      `${mode?.name}: ${sslMode} needs certificates to trust; give --pg-sslrootcert FILE, or ` +
        "--pg-sslrootcert system, or put them into ~/.postgresql/root.crt",
    );
  }
  const sslCert = fileOf(look("sslcert"), "postgresql.crt");
  if (sslCert === undefined) return { sslMode, sslRootCert, sslCert, sslKey: undefined };
  const sslKey = fileOf(look("sslkey"), "postgresql.key");
  if (sslKey === undefined) {
    throw new UsageError(
      `the client certificate ${sslCert} is there, but not its private key; give --pg-sslkey FILE`,
    );
  }
  return { sslMode, sslRootCert, sslCert, sslKey };
}

/** libpq's: whole seconds; 0 or less waits forever. */
function connectTimeout(value: string): number {
  if (!/^\s*[-+]?\d{1,9}\s*$/.test(value)) {
    throw new UsageError(`${JSON.stringify(value)} is not a whole number of seconds`);
  }
  // Timers take 31 bits of milliseconds.
  return Math.min(Math.max(Number(value), 0) * 1000, 2 ** 31 - 1);
}
