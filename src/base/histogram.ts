/** How often values fell between fixed bounds, as Prometheus counts them. Observing allocates nothing. */
export class Histogram {
  /** One more than there are bounds: the last counts what lies above all of them. */
  readonly counts: number[];
  count = 0;
  sum = 0;

  /** `bounds` grow; a value counts under the first bound that is not below it. */
  constructor(readonly bounds: readonly number[]) {
    this.counts = new Array(bounds.length + 1).fill(0);
  }

  observe(value: number): void {
    let place = 0;
    while (place < this.bounds.length && value > this.bounds[place]!) place++;
    this.counts[place]!++;
    this.count++;
    this.sum += value;
  }

  /** What was observed since a copy from `earlier`; without one a copy of all. */
  since(earlier?: Histogram): Histogram {
    // One that started over in the meantime has forgotten what the copy knows.
    const before = (earlier?.count ?? 0) > this.count ? undefined : earlier;
    const difference = new Histogram(this.bounds);
    this.counts.forEach((count, place) =>
      difference.counts[place] = count - (before?.counts[place] ?? 0)
    );
    difference.count = this.count - (before?.count ?? 0);
    difference.sum = this.sum - (before?.sum ?? 0);
    return difference;
  }
}

/**
 * The value below which `share` of the observations lie, taken as spread evenly between two bounds;
 * undefined when there are none. Above the last bound all that is known is that bound.
 */
export function quantile(histogram: Histogram, share: number): number | undefined {
  const { bounds, counts, count } = histogram;
  if (count === 0) return undefined;
  let rest = share * count;
  for (let place = 0; place < bounds.length; place++) {
    const inside = counts[place]!;
    if (inside > 0 && rest <= inside) {
      const low = place === 0 ? 0 : bounds[place - 1]!;
      return low + (bounds[place]! - low) * rest / inside;
    }
    rest -= inside;
  }
  return bounds.at(-1);
}
