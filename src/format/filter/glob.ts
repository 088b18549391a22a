/** Says whether a text matches, from its beginning to its end. */
export type GlobMatcher = (text: string) => boolean;

const ANY = "*", ONE = "?", ESCAPE = "\\";

/**
 * Reads a glob: `*` stands for any characters, a dot too, `?` for one, and `\` takes the next one as it is.
 *
 * No regular expression, whose backtracking would take minutes over a name that was made for it: names of
 * tables and prefixes of messages come from whoever may write them. This takes the product of both lengths
 * at most.
 */
export function parseGlob(glob: string): GlobMatcher {
  const pattern: (string | typeof anyText | typeof oneCharacter)[] = [];
  const characters = [...glob];
  for (let at = 0; at < characters.length; at++) {
    const character = characters[at]!;
    if (character === ANY) pattern.push(anyText);
    else if (character === ONE) pattern.push(oneCharacter);
    else if (character === ESCAPE && at + 1 < characters.length) pattern.push(characters[++at]!);
    else pattern.push(character);
  }

  return (text) => {
    let at = 0, place = 0;
    // Behind the last `*`, and up to where it reaches so far: only that one is ever made longer.
    let retryPlace = -1, retryAt = 0;
    while (at < text.length) {
      const wanted = pattern[place];
      if (wanted === anyText) {
        retryPlace = ++place;
        retryAt = at;
      } else if (wanted === oneCharacter) {
        place++;
        at += lengthAt(text, at);
      } else if (wanted !== undefined && text.startsWith(wanted, at)) {
        place++;
        at += wanted.length;
      } else if (retryPlace === -1) {
        return false;
      } else {
        place = retryPlace;
        retryAt += lengthAt(text, retryAt);
        at = retryAt;
      }
    }
    while (pattern[place] === anyText) place++;
    return place === pattern.length;
  };
}

const anyText = Symbol("*");
const oneCharacter = Symbol("?");

/** Of the character there, in UTF-16 units. */
function lengthAt(text: string, at: number): number {
  return text.codePointAt(at)! > 0xFFFF ? 2 : 1;
}
