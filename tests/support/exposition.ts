/** What is between `# HELP` lines of Prometheus' text format. */
export interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly samples: readonly ParsedSample[];
}

export interface ParsedSample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/;
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)/y;
const NUMBER = /^(?:NaN|[+-]Inf|-?\d+(?:\.\d+)?(?:e[+-]\d+)?)$/;
const SUFFIXES = ["", "_bucket", "_sum", "_count"];

/**
 * Reads Prometheus' text format as strictly as its page describes it
 * (https://prometheus.io/docs/instrumenting/exposition_formats/), without timestamps.
 * @throws {Error} with the line that is wrong.
 */
export function parseExposition(text: string): Family[] {
  if (!text.endsWith("\n")) throw new Error("the last line does not end");
  const families: (Family & { samples: ParsedSample[] })[] = [];
  const seen = new Set<string>();
  const lines = text.slice(0, -1).split("\n");
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i]!;
    const fail = (why: string) => new Error(`${why}: ${JSON.stringify(line)}`);
    const [, helped, help] = /^# HELP (\S+) (.*)$/.exec(line) ?? [];
    if (helped !== undefined && help !== undefined) {
      const [, typed, type] = /^# TYPE (\S+) (counter|gauge|histogram)$/.exec(lines[++i]!) ?? [];
      if (typed !== helped || type === undefined) throw fail("no type behind it");
      if (seen.has(`# ${helped}`)) throw fail("a second time");
      seen.add(`# ${helped}`);
      families.push({ name: helped, help: unescaped(help), type, samples: [] });
      continue;
    }
    const [, name, labelText, number] = SAMPLE.exec(line) ?? [];
    if (name === undefined || !NUMBER.test(number!)) throw fail("no sample");
    const family = families.at(-1);
    const suffixes = family?.type === "histogram" ? SUFFIXES.slice(1) : [""];
    if (!suffixes.some((suffix) => name === family?.name + suffix)) throw fail("no such family");
    const labels = labelText === undefined ? {} : parseLabels(labelText);
    if (labels === undefined) throw fail("wrong labels");
    const identity = `${name} ${JSON.stringify(Object.entries(labels).toSorted())}`;
    if (seen.has(identity)) throw fail("a second time");
    seen.add(identity);
    family!.samples.push({ name, labels, value: Number(number!.replace("Inf", "Infinity")) });
  }
  return families;
}

function parseLabels(text: string): Record<string, string> | undefined {
  const labels: Record<string, string> = {};
  let end = 0;
  while (end < text.length) {
    LABEL.lastIndex = end;
    const [all, name, value] = LABEL.exec(text) ?? [];
    if (all === undefined || Object.hasOwn(labels, name!)) return undefined;
    labels[name!] = unescaped(value!);
    end += all.length;
  }
  return text === "" || text.endsWith(",") ? undefined : labels;
}

const unescaped = (text: string) =>
  text.replace(/\\(.)/g, (_, char: string) => char === "n" ? "\n" : char);
