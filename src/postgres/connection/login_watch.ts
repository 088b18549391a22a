import type { Buffer } from "node:buffer";
import type { Duplex } from "node:stream";
import { TLSSocket } from "node:tls";
// @ts-types="@types/pg"
import type pg from "pg";
import type { AuthMethod, PostgresOptions } from "../../options.ts";
import { LoginBounds } from "./login_bounds.ts";
import type { SocketGuard } from "../../libpq/socket_owner.ts";

/** How far an attempt came: libpq's rules for another way or another address depend on it. */
export type LoginStage = "connecting" | "connected" | "encrypted" | "authenticated";

/** What the server asked for. `none`: it lets in whom it trusts, or by the client's certificate. */
export type LoginMethod =
  | "none"
  | "password"
  | "md5"
  | "SCRAM-SHA-256"
  | "SCRAM-SHA-256-PLUS"
  | "other";

/** The server asks for something, or proves itself in a way, that the settings rule out. */
export class LoginRefused extends Error {
  override name = "LoginRefused";
}

/** What is asked of a login. */
export type LoginRules = Pick<
  PostgresOptions,
  "auth" | "channelBinding" | "sslNegotiation" | "requireAuth"
>;

/** The parts of pg's insides that are used here; they are not in its types. */
interface PgInsides {
  readonly connection: pg.Connection & { readonly stream: Duplex; readonly ssl: unknown };
  readonly enableChannelBinding: boolean;
}

const PLUS = "SCRAM-SHA-256-PLUS";

/**
 * Watches a login, which pg does by itself, and holds it to what libpq holds it to. To be made before
 * the client connects, so that it hears the server's requests before pg answers them.
 */
export class LoginWatch {
  stage: LoginStage = "connecting";
  method: LoginMethod = "none";
  #offered: readonly string[] = [];
  /** The server has proved that it knows the password. */
  #proved = false;

  constructor(
    private readonly client: pg.Client,
    private readonly rules: LoginRules,
    socket?: SocketGuard,
  ) {
    const { connection, enableChannelBinding } = client as unknown as PgInsides;
    const on = (event: string, take: (message: { mechanisms: string[] }) => void) =>
      connection.on(event, take);
    on("connect", () => {
      this.stage = "connected";
      const refusal = socket?.refusal();
      if (refusal !== undefined) this.#refuse(refusal);
      else if (!connection.ssl) this.#keepBounds(connection.stream);
    });
    on("sslconnect", () => {
      this.#keepBounds(connection.stream);
      if (!(connection.stream instanceof TLSSocket)) return;
      const stream = connection.stream;
      stream.once("secureConnect", () => this.stage = "encrypted");
    });
    on("authenticationCleartextPassword", () => this.#asked("password"));
    on("authenticationMD5Password", () => this.#asked("md5"));
    on("authenticationSASL", ({ mechanisms }) => {
      this.#offered = mechanisms;
      // As pg chooses.
      this.#asked(
        enableChannelBinding && mechanisms.includes(PLUS)
          ? PLUS
          : mechanisms.includes("SCRAM-SHA-256")
          ? "SCRAM-SHA-256"
          : "other",
      );
    });
    on("authenticationSASLFinal", () => this.#proved = true);
    on("authenticationOk", () => {
      const refusal = this.refusal() ?? this.#withoutProof();
      if (refusal === undefined) this.stage = "authenticated";
      else this.#refuse(refusal);
    });
  }

  /** pg holds the password by the second request, and would answer that without asking us. */
  #asked(method: LoginMethod): void {
    const before = this.method;
    this.method = method;
    if (before === "none") return;
    this.#refuse(
      new LoginRefused(`asked for one proof, the server wants another: ${this.#whatWasAsked()}`),
    );
  }

  #refuse(refusal: Error): void {
    const { connection } = this.client as unknown as PgInsides;
    connection.emit("error", refusal);
    // What pg still writes is not sent.
    connection.stream.destroy();
  }

  /** Until the server is ready, pg gets only what passes for an answer to a login. */
  #keepBounds(stream: Duplex): void {
    const { connection } = this.client as unknown as PgInsides;
    const [toClient] = stream.listeners("data") as ((chunk: Buffer) => void)[];
    const bounds = new LoginBounds();
    const watched = (chunk: Buffer) => {
      try {
        bounds.take(chunk);
      } catch (error) {
        this.#refuse(error as Error);
        return;
      }
      toClient!(chunk);
    };
    stream.on("data", watched);
    stream.removeListener("data", toClient!);
    connection.once("readyForQuery", () => {
      stream.on("data", toClient!);
      stream.removeListener("data", watched);
    });
  }

  /** Why no password may be given; asked when pg wants one. */
  refusal(): LoginRefused | undefined {
    const { auth, channelBinding, sslNegotiation } = this.rules;
    const { stream } = (this.client as unknown as PgInsides).connection;
    if (
      sslNegotiation === "direct" && stream instanceof TLSSocket &&
      stream.alpnProtocol !== "postgresql"
    ) {
      return new LoginRefused(
        "what answered sslnegotiation=direct with TLS does not say that it is PostgreSQL (17 or " +
          "newer); write sslnegotiation=postgres",
      );
    }
    if (channelBinding === "require" && this.method !== PLUS) {
      return new LoginRefused(
        `channel_binding=require needs a login by ${PLUS}, and ${this.#whatIsMissing()}`,
      );
    }
    const { requireAuth } = this.rules;
    if (requireAuth !== undefined && !requireAuth.allowed.has(authMethod(this.method))) {
      return new LoginRefused(
        `require_auth=${requireAuth.text} does not allow this login: ${this.#whatWasAsked()}; ` +
          "check that it is the right server, and the method that its pg_hba.conf has for this role",
      );
    }
    // Hashed, the token would prove nothing to IAM; and it is given to nobody without TLS.
    if (auth === "rds-iam" && (this.method !== "password" || this.stage !== "encrypted")) {
      return new LoginRefused(
        `--pg-auth rds-iam gives its token to a server that asks for it over TLS, and ${this.#whatIsMissing()}; ` +
          "turn IAM database authentication on for the server, and GRANT rds_iam to the role",
      );
    }
    return undefined;
  }

  /** pg would take a server that skips the last step of SCRAM, its own proof. */
  #withoutProof(): LoginRefused | undefined {
    if (!this.method.startsWith("SCRAM") || this.#proved) return undefined;
    return new LoginRefused("the server did not prove that it knows the password (SCRAM)");
  }

  #whatIsMissing(): string {
    return this.stage === "connected" ? "this connection has no TLS" : this.#whatWasAsked();
  }

  #whatWasAsked(): string {
    switch (this.method) {
      case "none":
        return "the server asks for no password";
      case "password":
        return "the server asks for the password itself (password, ldap, pam … in pg_hba.conf)";
      case "md5":
        return "the server asks for an MD5 of the password";
      case "SCRAM-SHA-256":
      case "SCRAM-SHA-256-PLUS":
      case "other":
        return `the server offers ${this.#offered.join(" and ")}`;
      default:
        return this.method satisfies never;
    }
  }
}

function authMethod(method: LoginMethod): AuthMethod {
  switch (method) {
    case "SCRAM-SHA-256":
    case "SCRAM-SHA-256-PLUS":
    case "other":
      return "scram-sha-256";
    default:
      return method;
  }
}
