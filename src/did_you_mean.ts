import { levenshteinDistance } from "@std/text";

/** The word that a mistyped one most likely stands for; undefined when none is near enough to help. */
export function nearest(given: string, words: readonly string[]): string | undefined {
  let found: string | undefined;
  let least = Infinity;
  for (const word of words) {
    const shorter = Math.min(given.length, word.length);
    const isBeginning = shorter >= 3 && given.slice(0, shorter) === word.slice(0, shorter);
    const distance = isBeginning ? 1 : levenshteinDistance(given.toLowerCase(), word.toLowerCase());
    if (distance <= Math.ceil(given.length / 3) && distance < least) {
      found = word;
      least = distance;
    }
  }
  return found;
}

/** What an error ends with: `; did you mean stop?`, or nothing. */
export function didYouMean(word: string | undefined): string {
  return word === undefined ? "" : `; did you mean ${word}?`;
}
