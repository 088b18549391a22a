/** The word that a mistyped one most likely stands for; undefined when none is near enough to help. */
export function nearest(given: string, words: readonly string[]): string | undefined {
  let found: string | undefined;
  let least = Infinity;
  for (const word of words) {
    const shorter = Math.min(given.length, word.length);
    const isBeginning = shorter >= 3 && given.slice(0, shorter) === word.slice(0, shorter);
    const distance = isBeginning ? 1 : editDistance(given.toLowerCase(), word.toLowerCase());
    if (distance <= Math.ceil(given.length / 3) && distance < least) {
      found = word;
      least = distance;
    }
  }
  return found;
}

/** How many characters must be put in, taken out or replaced to get from one word to the other (Levenshtein). */
export function editDistance(from: string, to: string): number {
  const target = [...to];
  // From what was read of `from` to each beginning of `to`.
  let distances = [...target.keys(), target.length];
  for (const char of from) {
    const next = [distances[0]! + 1];
    target.forEach((other, place) =>
      next.push(Math.min(
        distances[place + 1]! + 1,
        next[place]! + 1,
        distances[place]! + (char === other ? 0 : 1),
      ))
    );
    distances = next;
  }
  return distances.at(-1)!;
}

/** What an error ends with: `; did you mean stop?`, or nothing. */
export function didYouMean(word: string | undefined): string {
  return word === undefined ? "" : `; did you mean ${word}?`;
}
