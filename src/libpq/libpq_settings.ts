/**
 * What is done with one of libpq's connection parameters.
 * - `used`: it ends in `PostgresOptions`
 * - `ignored`: it changes nothing here; said when it is given
 * - `promise`: it demands something that this program cannot keep, unless its value is one of
 *   `kept`; any other is refused, since ignoring it would make the connection weaker than asked
 */
export type Treatment =
  | { readonly kind: "used" }
  | { readonly kind: "ignored" }
  | { readonly kind: "promise"; readonly kept: readonly string[]; readonly instead: string };

/** https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS, -libpq-envars.html */
export interface LibpqSetting {
  readonly variable: string | undefined;
  readonly treatment: Treatment;
}

const used = (variable?: string): LibpqSetting => ({ variable, treatment: { kind: "used" } });

/** Ignored, in the environment silently: variables are set for every client of a machine. */
const ignored = (): LibpqSetting => ({ variable: undefined, treatment: { kind: "ignored" } });

const promise = (
  variable: string | undefined,
  kept: readonly string[],
  instead = "leave it out",
): LibpqSetting => ({ variable, treatment: { kind: "promise", kept, instead } });

/** Every connection parameter of libpq 18. */
export const LIBPQ_SETTINGS: ReadonlyMap<string, LibpqSetting> = new Map(Object.entries({
  service: used("PGSERVICE"),
  servicefile: used("PGSERVICEFILE"),
  user: used("PGUSER"),
  password: used("PGPASSWORD"),
  passfile: used("PGPASSFILE"),
  connect_timeout: used("PGCONNECT_TIMEOUT"),
  dbname: used("PGDATABASE"),
  host: used("PGHOST"),
  hostaddr: used("PGHOSTADDR"),
  port: used("PGPORT"),
  options: used("PGOPTIONS"),
  application_name: used("PGAPPNAME"),
  fallback_application_name: used(),
  sslmode: used("PGSSLMODE"),
  sslrootcert: used("PGSSLROOTCERT"),
  sslcert: used("PGSSLCERT"),
  sslkey: used("PGSSLKEY"),
  sslnegotiation: used("PGSSLNEGOTIATION"),
  channel_binding: used("PGCHANNELBINDING"),
  require_auth: used("PGREQUIREAUTH"),
  requirepeer: used("PGREQUIREPEER"),
  target_session_attrs: used("PGTARGETSESSIONATTRS"),

  client_encoding: ignored(),
  gssdelegation: ignored(),
  gsslib: ignored(),
  keepalives: ignored(),
  keepalives_count: ignored(),
  keepalives_idle: ignored(),
  keepalives_interval: ignored(),
  krbsrvname: ignored(),
  load_balance_hosts: ignored(),
  replication: ignored(),
  sslcompression: ignored(),
  sslkeylogfile: ignored(),
  sslsni: ignored(),
  tcp_user_timeout: ignored(),

  gssencmode: promise("PGGSSENCMODE", ["disable", "prefer"], "use TLS"),
  max_protocol_version: promise("PGMAXPROTOCOLVERSION", ["3.0", "3.2", "latest"]),
  min_protocol_version: promise("PGMINPROTOCOLVERSION", ["3.0"]),
  oauth_client_id: promise(undefined, []),
  oauth_client_secret: promise(undefined, []),
  oauth_issuer: promise(undefined, []),
  oauth_scope: promise(undefined, []),
  scram_client_key: promise(undefined, [], "use a password"),
  scram_server_key: promise(undefined, [], "use a password"),
  ssl_max_protocol_version: promise("PGSSLMAXPROTOCOLVERSION", ["TLSv1.3"]),
  ssl_min_protocol_version: promise("PGSSLMINPROTOCOLVERSION", ["TLSv1", "TLSv1.1", "TLSv1.2"]),
  sslcertmode: promise("PGSSLCERTMODE", ["allow"]),
  sslcrl: promise("PGSSLCRL", []),
  sslcrldir: promise("PGSSLCRLDIR", []),
  sslpassword: promise(undefined, [], "give a key without a passphrase"),
}));
