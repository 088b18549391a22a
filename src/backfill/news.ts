import type { Lsn } from "../base/lsn.ts";
import type { OpenRequest } from "./control_message.ts";
import { type BackfillNews, printNews } from "./progress.ts";
import type { TableRead } from "./table_read.ts";

/** What whoever waits for a backfill is told, with the next mark. */
export class News {
  #waiting: string[] = [];
  readonly #told = new WeakSet<TableRead>();

  constructor(private readonly slot: string) {}

  tell({ id }: OpenRequest, news: Omit<BackfillNews, "slot" | "request">): void {
    this.#waiting.push(printNews({ slot: this.slot, request: id, ...news }));
  }

  /** Once, when all of the table is stored. */
  tellEnd(table: TableRead, request: OpenRequest, storedLsn: Lsn): void {
    if (this.#told.has(table) || !table.hasEndedBy(storedLsn)) return;
    this.#told.add(table);
    const { name, rows, outcome } = table;
    this.tell(request, { news: "table", table: name, rows, reason: outcome?.reason });
  }

  /** All that waits; it is told once. */
  take(): readonly string[] {
    const taken = this.#waiting;
    this.#waiting = [];
    return taken;
  }
}
