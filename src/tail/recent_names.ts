/** Names in two generations: when the younger is full, the older is forgotten as a whole. */
export class RecentNames<Name> {
  #older = new Set<Name>();
  #younger = new Set<Name>();

  /** Remembers the last `generation` names at least. */
  constructor(
    private readonly generation: number,
    private readonly onForget: () => void = () => {},
  ) {}

  has(name: Name): boolean {
    return this.#younger.has(name) || this.#older.has(name);
  }

  add(name: Name): void {
    if (this.#younger.size >= this.generation) {
      this.onForget();
      this.#older = this.#younger;
      this.#younger = new Set();
    }
    this.#younger.add(name);
  }
}
