/**
 * Says of a logical message, by its prefix, whether it is published. All others are counted in `seq` and
 * otherwise left alone: anybody in the database may write them, of any size and with any prefix. The
 * server is asked for them all the same, so that a change has one `seq` for good, whatever a later
 * run publishes. `bytes`: of the whole message as the plugin writes it.
 */
export type PublishesMessage = (prefix: string, bytes: number) => boolean;

/**
 * In UTF-8. A message with a longer prefix is never published: PostgreSQL has no limit, and where a
 * message is not published nothing of it may be held that grows with it.
 */
export const MAX_PREFIX_BYTES = 1024;
