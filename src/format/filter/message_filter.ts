import type { FormatOptions } from "../../options.ts";
import { drops, Routes } from "./first_route.ts";
import { formatTraits } from "../format_traits.ts";
import { parseGlob } from "./glob.ts";

/** Says of a logical message, by its prefix, whether it is published. */
export type MessageFilter = (prefix: string) => boolean;

/** Messages of our own begin with this: heartbeats are. They are never published, whoever wrote them. */
export const OWN_PREFIXES = "pg2kinesis.";

/** A prefix must match one of `--message-prefix`: anybody in the database may write messages. */
export function createMessageFilter(
  options: Pick<FormatOptions, "formatter" | "messagePrefixes" | "routes">,
): MessageFilter {
  if (!formatTraits(options).hasMessages) return () => false;
  const globs = options.messagePrefixes.map(parseGlob);
  const routes = new Routes(options.routes);
  const isDropped = (prefix: string) => {
    const match = routes.ofMessage(prefix);
    return match !== undefined && drops(match.route);
  };
  return (prefix) =>
    !prefix.startsWith(OWN_PREFIXES) && globs.some((matches) => matches(prefix)) &&
    !isDropped(prefix);
}
