import { getLogger } from "@logtape/logtape";
import { Backoff } from "../base/backoff.ts";
import type { Clock } from "../base/clock.ts";
import { LastingTrouble } from "../base/lasting_trouble.ts";
import { registerSecret } from "../base/redaction.ts";

/** Who signs a request. */
export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
  /** Undefined: they are good until somebody says otherwise. */
  readonly expiration?: Date;
  readonly accountId?: string;
}

/** Where credentials come from. */
export interface CredentialSource {
  /** For a person: `the profile "shop" (the role arn:… from STS)`. */
  readonly name: string;
  /** Where nothing names a source, it is asked whether it is there: no answer says that it is not. */
  readonly isGuess?: boolean;
  /** Gives new ones; rejects with whatever it is. */
  load(): Promise<Credentials>;
}

/** A source of credentials gave none. Its name is the SDK's for such errors. */
export class CredentialsError extends Error {
  override name = "CredentialsProviderError";

  constructor(
    message: string,
    /** What AWS documents as passing: the same request will do later. */
    readonly passes: boolean,
    cause?: unknown,
    /** Nothing names any, rather than that what is named fails. */
    readonly isAbsent = false,
  ) {
    super(message, { cause });
  }
}

/** New ones are asked for when those at hand are good for less than this. */
const RENEW_BEFORE_MS = 5 * 60_000;
/** Between two tries to renew what is still good. */
const PAUSES = { firstMs: 10_000, longestMs: 120_000 };
/** After one that went well: what it gave may be no newer, and need not be asked for with each request. */
const RENEWED_PAUSE_MS = 5_000;
const SAYING_RATE = { repeatMs: 60_000 };
/** A source that answers neither way within this has failed: a program, a file of the network. */
const LOAD_TIMEOUT_MS = 60_000;
/** What a source gives although it has expired, as an instance does whose service is down, is used this long. */
const OVERTIME_MS = 5 * 60_000;

const log = getLogger(["pg2kinesis", "aws"]);

/**
 * The credentials of one client: those at hand for as long as they are good, whatever their source does
 * meanwhile; new ones in time before they expire, and when the service does not take them.
 */
export class CredentialKeeper {
  #current: Credentials | undefined;
  #goodUntilMs = -Infinity;
  /** Grows with each change of the credentials. */
  #generation = 0;
  #loading: Promise<void> | undefined;
  #nextTryMs = -Infinity;
  readonly #backoff: Backoff;
  readonly #trouble: LastingTrouble;

  constructor(
    /** Decides each time, by the present environment and files. */
    private readonly findSource: () => Promise<CredentialSource>,
    private readonly clock: Clock,
    random: () => number,
  ) {
    this.#backoff = new Backoff(random, PAUSES);
    this.#trouble = new LastingTrouble(clock, SAYING_RATE);
  }

  get generation(): number {
    return this.#generation;
  }

  /** @throws {CredentialsError} when none are good and the source gives none. */
  async get(): Promise<Credentials> {
    const current = this.#current;
    const leftMs = this.#goodUntilMs - this.clock.wall();
    if (current !== undefined && leftMs > 0) {
      if (leftMs < RENEW_BEFORE_MS && this.clock.now() >= this.#nextTryMs) this.#renew(leftMs);
      return current;
    }
    await this.#load();
    return this.#current!;
  }

  /**
   * The service did not take the credentials of that generation: looks for others before that is
   * believed. Gives whether there are others; never rejects.
   */
  async lookAgain(refused: number): Promise<boolean> {
    if (refused !== this.#generation) return true;
    try {
      await this.#load();
    } catch (error) {
      log.debug("no other AWS credentials are available: {error}", { error });
    }
    return refused !== this.#generation;
  }

  #renew(leftMs: number): void {
    if (this.#loading !== undefined) return;
    this.#load().then(() => {
      this.#backoff.reset();
      this.#nextTryMs = this.clock.now() + RENEWED_PAUSE_MS;
      if (this.#trouble.over() !== undefined) log.info("renewed the AWS credentials");
    }, (error) => {
      this.#nextTryMs = this.clock.now() + this.#backoff.nextMs();
      if (this.#trouble.failed(error.message) === undefined) return;
      log.warn("cannot renew the AWS credentials, which are valid for {seconds} s more: {detail}", {
        seconds: Math.round(leftMs / 1000),
        detail: error.message,
      });
    });
  }

  #load(): Promise<void> {
    return this.#loading ??= this.#take().finally(() => this.#loading = undefined);
  }

  async #take(): Promise<void> {
    const source = await this.findSource();
    const found = await this.#ask(source);
    checkForm(found, source.name);
    const { expiration } = found;
    // Those that expire are too many to remember them all.
    if (expiration === undefined) {
      registerSecret(found.secretAccessKey);
      registerSecret(found.sessionToken);
    }
    if (
      found.accessKeyId !== this.#current?.accessKeyId ||
      found.secretAccessKey !== this.#current.secretAccessKey ||
      found.sessionToken !== this.#current.sessionToken
    ) this.#generation++;
    this.#current = found;
    this.#goodUntilMs = expiration === undefined
      ? Infinity
      : Math.max(expiration.getTime(), this.clock.wall() + OVERTIME_MS);
  }

  async #ask(source: CredentialSource): Promise<Credentials> {
    const over = new AbortController();
    const late = this.clock.sleep(LOAD_TIMEOUT_MS, over.signal).then(() => {
      throw new CredentialsError(`no answer in ${LOAD_TIMEOUT_MS / 1000} s`, true);
    });
    const loading = source.load();
    try {
      return await Promise.race([loading, late]);
    } catch (error) {
      throw new CredentialsError(
        `${source.name} gave no AWS credentials: ${describe(error)}`,
        source.isGuess !== true && passes(error) || isBusy(error),
        error,
        source.isGuess === true && !isBusy(error),
      );
    } finally {
      over.abort();
      // Whichever of the two comes later.
      loading.catch(() => {});
      late.catch(() => {});
    }
  }
}

/** They go into headers, and a line break at the end of a secret makes every signature wrong. */
function checkForm(found: Credentials, source: string): void {
  for (const part of ["accessKeyId", "secretAccessKey", "sessionToken"] as const) {
    const value = found[part];
    if (value === undefined && part === "sessionToken") continue;
    if (typeof value === "string" && /^[\x21-\x7e]+$/.test(value)) continue;
    const what = { accessKeyId: "key ID", secretAccessKey: "secret", sessionToken: "token" }[part];
    const found_ = !value
      ? "is empty"
      : /[\r\n]/.test(value)
      ? "contains a line break"
      : "contains a blank or an invalid character";
    throw new CredentialsError(`the ${what} of ${source} ${found_}`, false);
  }
}

/** https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html, and what is said of each call. */
const PASSING = new Set([
  "ConnectionError",
  "TimeoutError",
  "IDPCommunicationError",
  "IDPCommunicationErrorException",
  "InternalFailure",
  "InternalServerException",
  "RequestLimitExceeded",
  "ServiceUnavailable",
  "Throttling",
  "ThrottlingException",
  "TooManyRequestsException",
]);

function passes(error: unknown): boolean {
  if (error instanceof CredentialsError) return error.passes;
  return PASSING.has(String(Object(error).name)) || isBusy(error);
}

/** Somebody is there, and answers later. */
function isBusy(error: unknown): boolean {
  const { $metadata } = Object(error) as { $metadata?: { httpStatusCode?: number } };
  const status = $metadata?.httpStatusCode ?? 0;
  return status === 429 || status >= 500;
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const line = error.message.split("\n", 1)[0]!.trim().replace(/\.$/, "");
  const isPlain = ["Error", "CredentialsProviderError", "ForeignAnswer", "TimeoutError"]
    .includes(error.name);
  return isPlain ? line : `${error.name}: ${line}`;
}
