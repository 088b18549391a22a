/** Distances between OIDs, ascending; the same one several times in a row as `[distance, times]`. */
export type OidDistances = readonly (number | readonly [distance: number, times: number])[];

/**
 * Short in a message: each OID as its distance from the one before, which is often the same for tables that
 * were made together. The reverse of {@linkcode oidsOf}.
 */
export function distancesOf(oids: Iterable<number>): OidDistances {
  const distances: (number | [number, number])[] = [];
  let before = 0;
  for (const oid of [...oids].sort((left, right) => left - right)) {
    const distance = oid - before;
    const last = distances.at(-1);
    if (Array.isArray(last) && last[0] === distance) last[1]++;
    else if (last === distance) distances[distances.length - 1] = [distance, 2];
    else distances.push(distance);
    before = oid;
  }
  return distances;
}

export function oidsOf(distances: OidDistances): number[] {
  let oid = 0;
  return distances.flatMap((each) => {
    const [distance, times] = typeof each === "number" ? [each, 1] : each;
    return Array.from({ length: times }, () => oid += distance);
  });
}
