import { createHash, createHmac } from "node:crypto";

/** What a token for RDS says, and whether IAM would take it. */
export interface Login {
  readonly token: string;
  /** Undefined: it is in order. */
  readonly fault: string | undefined;
}

export interface IamOptions {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly region: string;
  readonly user: string;
  /** `host:port`, as the client names the server; asked at each login. */
  readonly endpoint: () => string;
}

/**
 * Plays IAM for a real PostgreSQL: RDS asks IAM behind PAM, this server is asked by LDAP (`ldap` in
 * pg_hba.conf), with the password as the client sent it. It takes a token that is signed with the
 * secret for this server, role and region and is not older than its 15 minutes, and nothing else.
 */
export class IamLdap implements Disposable {
  readonly logins: Login[] = [];
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });

  constructor(private readonly options: IamOptions) {
    void this.#serve();
  }

  /** The line of pg_hba.conf, without its first three words. */
  get method(): string {
    return `ldap ldapserver=127.0.0.1 ldapport=${this.#listener.addr.port} ldapprefix="" ldapsuffix=""`;
  }

  [Symbol.dispose](): void {
    this.#listener.close();
  }

  async #serve(): Promise<void> {
    for await (const connection of this.#listener) void this.#answer(connection);
  }

  /** Simple bind, https://www.rfc-editor.org/rfc/rfc4511#section-4.2; the server asks nothing else. */
  async #answer(connection: Deno.Conn): Promise<void> {
    const buffer = new Uint8Array(64 * 1024);
    let size = 0;
    try {
      while (true) {
        const read = await connection.read(buffer.subarray(size));
        if (read === null) return;
        size += read;
        const message = readElement(buffer, 0);
        if (message === undefined || size < message.end) continue;
        const id = readElement(buffer, message.start)!;
        const bind = readElement(buffer, id.end)!;
        if (bind.tag !== BIND_REQUEST) return;
        const version = readElement(buffer, bind.start)!;
        const name = readElement(buffer, version.end)!;
        const password = readElement(buffer, name.end)!;
        const text = (element: Element) =>
          new TextDecoder().decode(buffer.subarray(element.start, element.end));
        const token = text(password);
        const fault = text(name) === this.options.user
          ? faultOf(token, this.options)
          : `the role ${text(name)}`;
        this.logins.push({ token, fault });
        const result = fault === undefined ? SUCCESS : INVALID_CREDENTIALS;
        const answer = [BIND_RESPONSE, 7, 0x0a, 1, result, 4, 0, 4, 0];
        const idBytes = [...buffer.subarray(message.start, id.end)];
        const body = [...idBytes, ...answer];
        await connection.write(new Uint8Array([0x30, body.length, ...body]));
        size = 0;
      }
    } catch {
      // The server hung up.
    } finally {
      connection.close();
    }
  }
}

const BIND_REQUEST = 0x60;
const BIND_RESPONSE = 0x61;
const SUCCESS = 0;
const INVALID_CREDENTIALS = 49;

interface Element {
  readonly tag: number;
  readonly start: number;
  readonly end: number;
}

/** One BER element; undefined while its length is not there yet. */
function readElement(bytes: Uint8Array, at: number): Element | undefined {
  const tag = bytes[at]!;
  let length = bytes[at + 1];
  let start = at + 2;
  if (length === undefined) return undefined;
  if (length >= 0x80) {
    const digits = length & 0x7f;
    length = 0;
    for (let digit = 0; digit < digits; digit++) length = length * 256 + bytes[start++]!;
  }
  return { tag, start, end: start + length };
}

/** https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html */
function faultOf(token: string, options: IamOptions): string | undefined {
  const url = new URL(`https://${token}`);
  const query = url.searchParams;
  if (url.host !== options.endpoint()) return `the endpoint ${url.host}`;
  if (url.pathname !== "/" || query.get("Action") !== "connect") return "the action";
  if (query.get("DBUser") !== options.user) return `the user ${query.get("DBUser")}`;
  const date = query.get("X-Amz-Date") ?? "";
  const day = date.slice(0, 8);
  const scope = `${day}/${options.region}/rds-db/aws4_request`;
  if (query.get("X-Amz-Credential") !== `${options.accessKeyId}/${scope}`) {
    return `the scope ${query.get("X-Amz-Credential")}`;
  }
  const signedAt = Date.parse(
    date.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, "$1-$2-$3T$4:$5:$6Z"),
  );
  const age = (Date.now() - signedAt) / 1000;
  if (query.get("X-Amz-Expires") !== "900" || !(age > -60 && age < 900)) return `the age ${age} s`;

  const encode = (text: string) =>
    encodeURIComponent(text).replace(
      /[!'()*]/g,
      (character) => "%" + character.charCodeAt(0).toString(16).toUpperCase(),
    );
  const canonicalQuery = [...query].filter(([name]) => name !== "X-Amz-Signature")
    .map(([name, value]) => `${encode(name)}=${encode(value)}`)
    // Sorted as the rule says, not to compare an order.
    .sort().join("&");
  const empty = createHash("sha256").update("").digest("hex");
  const request = ["GET", "/", canonicalQuery, `host:${url.host}`, "", "host", empty].join("\n");
  const hash = createHash("sha256").update(request).digest("hex");
  const toSign = ["AWS4-HMAC-SHA256", date, scope, hash].join("\n");
  let key: string | Uint8Array = `AWS4${options.secretAccessKey}`;
  for (const part of [...scope.split("/"), toSign]) {
    key = createHmac("sha256", key).update(part).digest();
  }
  const signature = [...key as Uint8Array].map((byte) => byte.toString(16).padStart(2, "0")).join(
    "",
  );
  return query.get("X-Amz-Signature") === signature ? undefined : "the signature";
}
