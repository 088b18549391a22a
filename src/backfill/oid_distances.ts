/** Short in a message: each OID as its distance from the one before. The reverse of {@linkcode oidsOf}. */
export function distancesOf(oids: Iterable<number>): number[] {
  let before = 0;
  return [...oids].sort((left, right) => left - right).map((oid) => {
    const distance = oid - before;
    before = oid;
    return distance;
  });
}

export function oidsOf(distances: readonly number[]): number[] {
  let oid = 0;
  return distances.map((distance) => oid += distance);
}
