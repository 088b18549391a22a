import type { MessageRole } from "../plugin.ts";

/**
 * The letters that messages of pgoutput's protocol version 1 begin with. Each needs a role here and a
 * case in the decoder: the compiler asks for both.
 * https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html
 */
export const LETTERS = {
  begin: 0x42,
  commit: 0x43,
  delete: 0x44,
  insert: 0x49,
  message: 0x4D,
  origin: 0x4F,
  relation: 0x52,
  truncate: 0x54,
  update: 0x55,
  type: 0x59,
} as const;

export type Letter = typeof LETTERS[keyof typeof LETTERS];

export const ROLES: Readonly<Record<Letter, MessageRole>> = {
  [LETTERS.begin]: "begin",
  [LETTERS.commit]: "commit",
  [LETTERS.delete]: "change",
  [LETTERS.insert]: "change",
  [LETTERS.message]: "change",
  // Once a transaction, behind its beginning.
  [LETTERS.origin]: "change",
  [LETTERS.relation]: "teaching",
  [LETTERS.truncate]: "change",
  [LETTERS.update]: "change",
  [LETTERS.type]: "teaching",
};
