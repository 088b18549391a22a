import { getLogger } from "@logtape/logtape";
import { type Attempt, placeOf } from "./connect_failure.ts";
import { type Encryption, isSocketFolder } from "../../libpq/tls.ts";
import type { LoginMethod } from "./login_watch.ts";

const logger = getLogger(["pg2kinesis", "postgres"]);

/** A run logs in to the same few servers again and again. */
const warned = new Set<string>();

/** Warns, once for each server, before a password leaves that somebody on the way could have. */
export function warnOfPlainPassword(method: LoginMethod, way: Encryption, attempt: Attempt): void {
  if (method !== "password" || isSocketFolder(attempt.host)) return;
  if (way.kind === "tls" && way.options.rejectUnauthorized) return;
  const place = placeOf(attempt);
  const key = `${place} ${attempt.address} ${way.kind}`;
  if (warned.has(key)) return;
  warned.add(key);
  logger.warn(
    way.kind === "plain"
      ? "{place} asks for the password itself, which now goes there in the clear: everybody on the way " +
        "can read it; use --pg-sslmode verify-full, or refuse this with require_auth=scram-sha-256 in " +
        "--pg-url"
      : "{place} asks for the password itself, and nobody checked its certificate: an impostor now gets " +
        "the password; use --pg-sslmode verify-full, or refuse this with require_auth=scram-sha-256 " +
        "in --pg-url",
    { place },
  );
}
