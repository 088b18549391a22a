/** The page of a run: what is known now, and plots of the last hour. Written for browsers of 2022. */

const ASK_EVERY_MS = 2000;
const HOUR_MS = 3_600_000;
/** A run that is younger fills part of the plots only. */
const SHORTEST_SPAN_MS = 300_000;
const SVG = "http://www.w3.org/2000/svg";
/** Of a plot, in pixels: what the labels take. */
const LEFT = 62, TOP = 8, BOTTOM = 18, RIGHT = 20;

const PLOTS = [
  { title: "Lag in time", unit: seconds, series: [["lagSeconds", "oldest commit not stored"]] },
  {
    title: "WAL",
    unit: bytes,
    series: [["lagBytes", "behind"], ["retainedBytes", "kept by the slot"]],
  },
  { title: "Changes a second", unit: count, series: [["changes", "received"]] },
  { title: "Bytes a second", unit: bytes, series: [["putBytes", "put into Kinesis"]] },
  { title: "Puts a second", unit: count, series: [["puts", "puts"], ["throttles", "throttled"]] },
  { title: "Buffers", unit: bytes, series: [["bufferBytes", "waiting"]] },
];

/** Of the last hour, oldest first. */
let points = [];
/** The moment that the pointer is at. */
let cursorMs = null;
let lastAnswerMs = Date.now();
/** What the clock of the run's machine was set ahead since the run began; the points do not know of it. */
let clockSetMs = 0;

const byId = (id) => document.getElementById(id);

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  Object.assign(made, attributes);
  made.append(...children);
  return made;
}

function shape(name, attributes, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  if (text !== undefined) made.textContent = text;
  return made;
}

// What numbers look like.

function bytes(value) {
  if (value === null) return "not known";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  for (; value >= 1024 && unit < units.length - 1; unit++) value /= 1024;
  return `${short(value)} ${units[unit]}`;
}

function seconds(value) {
  if (value === null) return "not known";
  if (value === 0) return "0 s";
  if (value < 1) return `${Math.max(1, Math.round(value * 1000))} ms`;
  if (value < 100) return `${short(value)} s`;
  if (value < 6000) return `${Math.round(value / 60)} min`;
  return value < 172_800 ? `${short(value / 3600)} h` : `${Math.round(value / 86_400)} d`;
}

function count(value) {
  if (value >= 1e6) return `${short(value / 1e6)} M`;
  return value >= 10 || Number.isInteger(value)
    ? Math.round(value).toLocaleString("en-US")
    : short(value);
}

/** Three digits are enough for a person. */
function short(value) {
  if (value >= 99.95) return String(Math.round(value));
  return String(Number(value.toFixed(value >= 9.995 ? 1 : 2)));
}

const time = (ms) =>
  new Date(ms).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
const exactTime = (ms) => new Date(ms).toLocaleTimeString("en-GB");

// What is known now.

function showNow(now) {
  const isReady = now.notReady === null;
  const { condition } = now;
  const state = byId("state");
  state.textContent = condition.word;
  state.className = `pill ${isReady && condition.isGood ? "good" : "bad"}`;
  const messages = [
    ...condition.isGood ? [] : [condition.text],
    ...condition.slowSide === undefined ? [] : [condition.slowSide],
    ...isReady ? [] : [`Not ready: ${now.notReady}`],
  ];
  byId("message").hidden = messages.length === 0;
  byId("message").textContent = messages.join(". ");
  const { host, database, slot, plugin, stream, region } = now.names;
  state.title = condition.text;
  byId("names").textContent =
    `slot ${slot} (${plugin}) of database ${database} at ${host}, into stream ${stream}` +
    (region === undefined ? "" : ` in ${region}`);
  document.title = `${condition.word}, lag ${seconds(now.lagSeconds)}: pg2kinesis`;
  byId("clock").textContent = exactTime(now.wallMs);
  showFacts("tiles", tilesOf(now));
  showFacts("totals", totalsOf(now));
  showBackfill(now.backfill);
  showStreams(now.streams);
}

/** Where there are several: those that fail or wait come first. */
function showStreams({ rows, more }) {
  byId("streams").hidden = rows.length === 0;
  byId("more-streams").textContent = more === 0 ? "" : `and ${count(more)} more`;
  const body = byId("stream-rows");
  while (body.children.length > rows.length) body.lastChild.remove();
  rows.forEach((row, place) => {
    if (body.children.length === place) {
      body.append(element("tr", {}, ...Array.from({ length: 6 }, () => element("td"))));
    }
    const state = [
      ...row.holdsUp ? ["all others wait for it"] : [],
      ...row.failing === null
        ? []
        : [`failing for ${seconds(row.failing.seconds)}: ${row.failing.reason}`],
    ].join("; ");
    const texts = [
      row.stream,
      count(row.lanes),
      bytes(row.putBytes),
      count(row.throttled),
      bytes(row.pendingBytes),
      state,
    ];
    [...body.children[place].children].forEach((cell, i) => {
      if (cell.textContent !== texts[i]) cell.textContent = texts[i];
    });
    body.children[place].className = row.holdsUp || row.failing !== null ? "bad" : "";
  });
}

function tilesOf(now) {
  const { rates } = now;
  const busiest = rates.busiestShard;
  const left = now.safeWalBytes === null
    ? now.walStatus ?? ""
    : `lost after ${bytes(Math.max(0, now.safeWalBytes))} more`;
  return [
    ["Lag in time", seconds(now.lagSeconds), now.catchUp],
    ["Behind in WAL", bytes(now.lagBytes), now.confirmed === null ? "" : `from ${now.confirmed}`],
    ["WAL kept by the slot", bytes(now.retainedBytes), left],
    ["Changes a second", count(rates.changes), `xid ${now.xid}`],
    [
      "Put a second",
      bytes(rates.putBytes),
      `${count(rates.puts)} puts` +
      (rates.failedPuts < 1 ? "" : `, ${count(rates.failedPuts)} failed`),
    ],
    ["Throttled a second", count(rates.throttles), `${count(now.retries.throttled ?? 0)} in all`],
    ["Put to answer, last minute", ...shares(now.putSeconds)],
    ["Commit to stored, last minute", ...shares(now.commitSeconds)],
    ["Buffers", bytes(now.bufferBytes), ""],
    [
      "Shards",
      count(now.lanes),
      busiest === undefined
        ? ""
        : `busiest …${busiest.shardId.slice(-4)}${
          now.streams.rows.length === 0 ? "" : ` of ${busiest.stream}`
        }, ${bytes(busiest.bytes)}/s`,
    ],
  ];
}

function shares(of) {
  return of === null ? ["–", ""] : [seconds(of.p50), `99 %: ${seconds(of.p99)}`];
}

/** What is 0 and would be trouble is left out. */
function totalsOf({ totals, retries, skipped }) {
  const trouble = [
    ["Puts that failed", totals.failedPuts],
    ["Sent again, may be double", totals.resent],
    ["Published without columns", totals.keyOnly],
    ["Reshards", totals.reshards],
    ["Reconnects", totals.reconnects],
    ...Object.entries(retries).map(([reason, n]) => [`Retries: ${reason}`, n]),
    ...Object.entries(skipped).map(([reason, n]) => [`Skipped: ${reason.replaceAll("_", " ")}`, n]),
  ];
  return [
    ["Changes", count(totals.changes), ""],
    ["Transactions", count(totals.transactions), ""],
    ["Filtered out", count(totals.filtered), ""],
    ["Puts", count(totals.puts), ""],
    ["Put", bytes(totals.putBytes), ""],
    ...trouble.filter(([, n]) => n > 0).map(([name, n]) => [name, count(n), ""]),
  ];
}

/** Changes the texts of what stands there already, so that a selection and a reader's place stay. */
function showFacts(id, facts) {
  const list = byId(id);
  while (list.children.length > facts.length) list.lastChild.remove();
  facts.forEach(([name, value, note], place) => {
    if (list.children.length === place) {
      const dd = element("dd", {}, element("span"), element("small"));
      list.append(element("div", {}, element("dt"), dd));
    }
    const [dt, dd] = list.children[place].children;
    const [span, small] = dd.children;
    for (const [where, text] of [[dt, name], [span, value], [small, note]]) {
      if (where.textContent !== text) where.textContent = text;
    }
  });
}

/** Changes the cells' texts in place, as above. */
function showBackfill({ words, tables, moreTables }) {
  byId("backfill").hidden = tables.length === 0;
  byId("backfill-words").textContent = moreTables === 0
    ? words
    : `${words}; ${count(moreTables)} more tables are not listed`;
  const body = byId("backfill-tables");
  while (body.children.length > tables.length) body.lastChild.remove();
  tables.forEach((table, place) => {
    const cells = [
      table.name,
      table.note === "" ? table.state : `${table.state}: ${table.note}`,
      count(table.rows),
      table.expected === null ? "not known" : count(table.expected),
      table.rowsPerSecond === 0 ? "" : count(table.rowsPerSecond),
      table.secondsLeft === null ? "" : seconds(table.secondsLeft),
    ];
    if (body.children.length === place) {
      body.append(element("tr", {}, ...cells.map(() => element("td"))));
    }
    cells.forEach((text, column) => {
      const cell = body.children[place].children[column];
      if (cell.textContent !== text) cell.textContent = text;
    });
  });
}

// The plots.

const plots = PLOTS.map(({ title, unit, series }) => {
  const svg = shape("svg", { role: "img", "aria-label": `${title}, over the last hour` });
  const legend = element("div", { className: "legend" });
  const when = element("span");
  const heading = element("h2", {}, title, when);
  const keys = series.map(([, name], place) =>
    element("span", { className: place === 0 ? "key" : "key second" }, name)
  );
  legend.append(...keys);
  const figure = element("div", { className: "plot" }, heading, legend, svg);
  byId("plots").append(figure);
  const move = (event) => {
    const { left, width } = svg.getBoundingClientRect();
    const { from, to } = span();
    const share = (event.clientX - left - LEFT) / (width - LEFT - RIGHT);
    cursorMs = from + Math.min(1, Math.max(0, share)) * (to - from);
    draw();
  };
  svg.addEventListener("pointermove", move);
  svg.addEventListener("pointerdown", move);
  svg.addEventListener("pointerleave", () => {
    cursorMs = null;
    draw();
  });
  return { unit, series, svg, keys, when };
});

function span() {
  const to = points.at(-1)?.t ?? Date.now();
  const from = Math.max(to - HOUR_MS, Math.min(points[0]?.t ?? to, to - SHORTEST_SPAN_MS));
  return { from, to };
}

function draw() {
  const at = cursorMs === null ? undefined : nearest(cursorMs);
  for (const plot of plots) drawPlot(plot, at);
}

function nearest(ms) {
  return points.reduce(
    (best, point) =>
      best === undefined || Math.abs(point.t - ms) < Math.abs(best.t - ms) ? point : best,
    undefined,
  );
}

function drawPlot({ unit, series, svg, keys, when }, at) {
  const width = svg.clientWidth, height = svg.clientHeight;
  const { from, to } = span();
  const values = points.flatMap((point) => series.map(([key]) => point[key] ?? 0));
  const top = ceiling(Math.max(0, ...values), unit);
  const x = (ms) => LEFT + (width - LEFT - RIGHT) * (ms - from) / (to - from);
  const y = (value) => TOP + (height - TOP - BOTTOM) * (1 - value / top);

  const drawn = [];
  for (const value of [0, top / 2, top]) {
    drawn.push(
      shape("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: y(value), y2: y(value) }),
      shape("text", { x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, unit(value)),
    );
  }
  for (const ms of roundTimes(from, to)) {
    drawn.push(
      shape("text", { x: x(ms), y: height - 3, "text-anchor": "middle" }, time(ms + clockSetMs)),
    );
  }
  // The first series last, above the others.
  series.forEach(([key], place) => {
    const line = shape("path", { class: place === 0 ? "first" : "second", d: pathOf(key, x, y) });
    drawn.splice(place === 0 ? drawn.length : -1, 0, line);
  });
  if (at !== undefined) {
    drawn.push(
      shape("line", { class: "cursor", x1: x(at.t), x2: x(at.t), y1: TOP, y2: height - BOTTOM }),
    );
  }
  svg.replaceChildren(...drawn);
  const shown = at ?? points.at(-1);
  series.forEach(([key, name], place) => {
    keys[place].textContent = shown === undefined ? name : `${name}: ${unit(shown[key])}`;
  });
  when.textContent = at === undefined ? "" : `at ${exactTime(at.t + clockSetMs)}`;
}

/** A line with a gap where a value is not known. */
function pathOf(key, x, y) {
  let isDown = false;
  return points.map((point) => {
    const value = point[key];
    if (value === null) {
      isDown = false;
      return "";
    }
    const command = isDown ? "L" : "M";
    isDown = true;
    return `${command}${x(point.t).toFixed(1)} ${y(value).toFixed(1)}`;
  }).join("");
}

/** At most five whole minutes, as far apart as a clock's marks. Time zones differ by quarters of an hour. */
function roundTimes(from, to) {
  const minutes = [1, 2, 5, 10, 15].find((each) => (to - from) / (each * 60_000) <= 5);
  const step = minutes * 60_000;
  const times = [];
  for (let ms = Math.ceil(from / step) * step; ms <= to; ms += step) times.push(ms);
  return times;
}

/** The next value that halves into two short labels. */
function ceiling(value, unit) {
  if (unit === seconds) {
    const steps = [0.002, 0.01, 0.02, 0.1, 0.2, 1, 2, 4, 10, 20, 60, 120, 240, 600, 1200, 3600];
    const step = steps.find((each) => each >= value);
    if (step !== undefined) return step;
    return 7200 * Math.ceil(value / 7200);
  }
  const base = unit === bytes ? 1024 : 1000;
  let factor = 1;
  while (value > factor * base) factor *= base;
  const share = value / factor;
  const step = [2, 4, 6, 10, 20, 40, 60, 100, 200, 400, 600, base].find((each) => each >= share);
  return step * factor;
}

// The answers.

async function ask() {
  try {
    const last = points.at(-1)?.t ?? 0;
    const response = await fetch(`page.json?since=${last}`, { cache: "no-store" });
    if (!response.ok) throw new Error(`answer ${response.status}`);
    const answer = await response.json();
    lastAnswerMs = Date.now();
    clockSetMs = answer.now.wallMs - answer.now.atMs;
    showNow(answer.now);
    if (answer.points.length > 0) {
      // A process that was started again knows nothing of what was before.
      points = [...points, ...answer.points].filter(({ t }) => t > answer.now.atMs - HOUR_MS);
      draw();
    }
  } catch {
    const state = byId("state");
    state.textContent = "no answer";
    state.className = "pill bad";
    byId("message").hidden = false;
    byId("message").textContent = `No answer since ${
      exactTime(lastAnswerMs)
    }: the run has ended, or the way to it is cut.`;
  }
  setTimeout(ask, ASK_EVERY_MS);
}

addEventListener("resize", draw);
draw();
ask();
