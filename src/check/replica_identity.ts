import type { PublishableTable } from "../postgres/catalog/publication_tables.ts";

/** Gives a table a replica identity: its primary key where it has one that can be it, else the row. */
export function identityStatement(
  { quoted, hasKey }: Pick<PublishableTable, "quoted" | "hasKey">,
): string {
  return `ALTER TABLE ${quoted} REPLICA IDENTITY ${hasKey ? "DEFAULT" : "FULL"};`;
}
