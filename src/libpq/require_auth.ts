import { UsageError } from "../base/errors.ts";
import { AUTH_METHODS, type AuthMethod, type AuthRequirement } from "../options.ts";

/**
 * libpq's `require_auth`: methods that are allowed, or, each with a `!`, those that are not. Without
 * `none` among the allowed the server must ask for something.
 * https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNECT-REQUIRE-AUTH
 */
export function requireAuth(text: string): AuthRequirement {
  const items = text.split(",");
  const isNegated = items[0]!.startsWith("!");
  const named = new Set<AuthMethod>();
  for (const item of items) {
    if (item.startsWith("!") !== isNegated) {
      throw new UsageError(
        `${
          JSON.stringify(text)
        } mixes methods that are asked for and methods that are ruled out; ` +
          "write ! before all of them or before none",
      );
    }
    const name = isNegated ? item.slice(1) : item;
    const method = AUTH_METHODS.find((method) => method === name);
    if (method === undefined) {
      throw new UsageError(`${JSON.stringify(name)} is not one of ${AUTH_METHODS.join(", ")}`);
    }
    if (named.has(method)) {
      throw new UsageError(`${JSON.stringify(item)} is given twice; check the spelling of both`);
    }
    named.add(method);
  }
  const allowed = AUTH_METHODS.filter((method) => named.has(method) !== isNegated);
  return { text, allowed: new Set(allowed) };
}
