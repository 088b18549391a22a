import type { Snapshot } from "./run_snapshot.ts";

/** The last snapshots, one at a time, oldest first. */
export class History {
  readonly #snapshots: Snapshot[] = [];

  /** Keeps those of the last `spanMs`, and one that is older. */
  constructor(private readonly spanMs: number) {}

  add(snapshot: Snapshot): void {
    this.#snapshots.push(snapshot);
    const from = snapshot.atMs - this.spanMs;
    while (this.#snapshots.length > 2 && this.#snapshots[1]!.atMs <= from) this.#snapshots.shift();
  }

  get first(): Snapshot | undefined {
    return this.#snapshots[0];
  }

  /** The newest one that was taken at least `ms` before the last; the first, when none was. */
  before(ms: number): Snapshot | undefined {
    const last = this.#snapshots.at(-1);
    if (last === undefined) return undefined;
    return this.#snapshots.findLast(({ atMs }) => atMs <= last.atMs - ms) ?? this.#snapshots[0];
  }
}
