/** The digits of a `money` of the locale C, or one that prints it alike: `-$1,234.50`; undefined for others. */
export function plainMoney(text: string): string | undefined {
  const match = /^(-?)\$(\d{1,3}(?:,\d{3})*\.\d\d)$/.exec(text);
  return match === null ? undefined : match[1]! + match[2]!.replaceAll(",", "");
}
