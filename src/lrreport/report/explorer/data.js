// Pure functions on the recorded values: no element of the page is touched here, so that all of this is tested alone.

const OK = ["completed", "unknown"];
const GRID_POINTS = 400; // of means over runs whose points lie at different places
const LEVEL = "level"; // as an axis: each run is one point above its level
const MOST_BANDS = 24; // lines whose bands are drawn; of more, only that of the line in focus
const LINES = ["mean", "range", "runs"];

// ---- unpacking ----

function decodeBytes(text) {
  const chars = atob(text);
  const bytes = new Uint8Array(chars.length);
  for (let i = 0; i < chars.length; i += 1) bytes[i] = chars.charCodeAt(i);
  return bytes;
}

const decodeFloats = (text) => new Float32Array(decodeBytes(text).buffer);

// Floats of three bytes, the lowest of four left out.
function decodeShortFloats(text) {
  const bytes = decodeBytes(text);
  const bits = new Uint32Array(bytes.length / 3);
  for (let i = 0, at = 0; i < bits.length; i += 1, at += 3) bits[i] = (bytes[at] << 8) | (bytes[at + 1] << 16) | (bytes[at + 2] << 24);
  return new Float32Array(bits.buffer);
}

// Return the study with its runs, each with its curves by metric: {grids, y, low, high}.
function unpack(data) {
  const [places, values, steps] = [decodeFloats(data.places), decodeFloats(data.values), decodeShortFloats(data.steps)];
  const grids = data.grids.map((grid) => (grid.length === 3
    ? Float64Array.from({ length: grid[2] }, (_, i) => grid[0] + i * grid[1])
    : Float64Array.from(places.subarray(grid[0], grid[0] + grid[1]))));
  const runs = data.runs.map(([level, seed, status], index) => ({ index, level, seed, status, values: data.levels[level].values, curves: new Map() }));
  const offsets = { values: 0, steps: 0 };
  for (const [run, metric, width, ...own] of data.series) {
    const stream = data.metrics[metric].name === "step_loss" ? "steps" : "values";
    const source = stream === "steps" ? steps : values;
    const n = grids[own.find((grid) => grid >= 0)].length;
    const part = (i) => source.subarray(offsets[stream] + i * n, offsets[stream] + (i + 1) * n);
    const curve = { grids: own, y: part(0), low: width > 1 ? part(1) : null, high: width > 1 ? part(2) : null };
    offsets[stream] += width * n;
    const { curves } = runs[run];
    curves.set(metric, [...(curves.get(metric) || []), curve]);
  }
  const axes = data.axes.map((axis) => axis.name);
  const study = { ...data, grids, runs, axisNames: axes, finals: decodeFloats(data.finals) };
  study.nFinal = runs.length ? study.finals.length / runs.length : 0;
  study.hasCurves = data.metrics.map((_, metric) => axes.filter((_, axis) => runs.some((run) => (run.curves.get(metric) || []).some((curve) => curve.grids[axis] >= 0))));
  study.hasFinals = data.metrics.map((_, metric) => metric < study.nFinal && runs.some((run) => Number.isFinite(study.finals[run.index * study.nFinal + metric])));
  return study;
}

function getCurve(study, run, metric, axis) {
  const index = study.axisNames.indexOf(axis);
  const curve = (run.curves.get(metric) || []).find(({ grids }) => grids[index] >= 0);
  return curve ? { x: study.grids[curve.grids[index]], y: curve.y, low: curve.low, high: curve.high } : null;
}

const getFinal = (study, run, metric) => (metric < study.nFinal ? study.finals[run.index * study.nFinal + metric] : NaN);

const nameRun = (study, run) => `${study.levels[run.level].name}, seed ${study.seeds[run.seed]}`;

// The axes on which a metric can be shown; above its levels if it has values at the end.
const listAxes = (study, metric) => [...study.hasCurves[metric], ...(study.hasFinals[metric] ? [LEVEL] : [])];

// ---- numbers ----

const MINUS = "\u2212";
const sign = (text) => text.replace(/^-/, MINUS).replace(/^\u2212(0(\.0+)?)$/, "$1");

function group(text) {
  const [whole, rest] = text.split(".");
  return whole.replace(/\B(?=(\d{3})+(?!\d))/g, ",") + (rest === undefined ? "" : `.${rest}`);
}

function writeNumber(value, digits) {
  if (Math.abs(value) < 100) return sign(value.toFixed(digits));
  return sign(group(value.toFixed(Math.max(0, 3 - Math.floor(Math.log10(Math.abs(value)))))));
}

function formatValue(metric, value) {
  if (!Number.isFinite(value)) return "\u2013";
  if (metric.scale === "fraction") return `${sign((100 * value).toFixed(metric.digits))} %`;
  return [writeNumber(value, metric.digits), metric.unit].filter(Boolean).join(" ");
}

function formatDifference(metric, value, unit = true) {
  if (!Number.isFinite(value)) return "\u2013";
  const text = metric.scale === "fraction" ? sign((100 * value).toFixed(metric.digits)) : writeNumber(value, metric.digits);
  const named = metric.scale === "fraction" ? "points" : metric.unit;
  return unit && named ? `${text} ${named}` : text;
}

const trim = (number) => sign(group(String(Number(number.toPrecision(6)))));
const count = (n, noun, plural = `${noun}s`) => `${group(String(n))} ${n === 1 ? noun : plural}`;
const capitalize = (text) => text.slice(0, 1).toUpperCase() + text.slice(1);
const decapitalize = (text) => (/^[A-Z][a-z]/.test(text) ? text.slice(0, 1).toLowerCase() + text.slice(1) : text);

function listWords(words, conjunction = "and") {
  return words.length > 1 ? `${words.slice(0, -1).join(", ")} ${conjunction} ${words.at(-1)}` : words.join("");
}

function findStep(low, high, most) {
  const rough = (high - low) / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  return power * [1, 2, 5, 10].find((factor) => factor * power >= rough * (1 - 1e-9));
}

// Evenly spaced round numbers from low to high, `most` of them or fewer, no closer than `least`.
function listTicks(low, high, most, least = 0) {
  if (!(high > low)) return [];
  const step = Math.max(least, findStep(low, high, most));
  const ticks = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9 * step && ticks.length < 100; i += 1) ticks.push(i * step);
  return ticks;
}

// Ticks of a logarithmic axis: powers of ten, with 2 and 5 times them where there is room.
function listLogTicks(low, high, most) {
  const [from, to] = [Math.floor(Math.log10(low)), Math.ceil(Math.log10(high))];
  for (const factors of [[1, 2, 5], [1]]) {
    const ticks = [];
    for (let power = from; power <= to; power += 1) for (const factor of factors) ticks.push(factor * 10 ** power);
    const inside = ticks.filter((tick) => tick >= low * (1 - 1e-9) && tick <= high * (1 + 1e-9));
    if (inside.length <= most && inside.length >= 2) return inside;
    if (inside.length < 2) return listTicks(low, high, most).filter((tick) => tick > 0);
  }
  const every = Math.ceil((to - from + 1) / most);
  return Array.from({ length: Math.floor((to - from) / every) + 1 }, (_, i) => 10 ** (from + i * every)).filter((tick) => tick >= low && tick <= high);
}

// Labels with the same number of decimals, as many as the distance between ticks needs.
function formatTicks(ticks, { scale = "number", log = false } = {}) {
  const factor = scale === "fraction" ? 100 : 1;
  if (log) return ticks.map((tick) => (tick * factor >= 1e6 || tick * factor < 1e-4 ? String(Number((tick * factor).toPrecision(3))).replace("e+", "e").replace("-", MINUS) : trim(tick * factor)));
  const step = ticks.length > 1 ? Math.abs(ticks[1] - ticks[0]) * factor : Math.abs(ticks[0] * factor) || 1;
  const decimals = Math.min(12, Math.max(0, -Math.floor(Math.log10(step) + 1e-9)));
  const exact = ticks.length > 1 ? decimals : Math.max(decimals, (String(Number((ticks[0] * factor).toPrecision(6))).split(".")[1] || "").length);
  return ticks.map((tick) => sign(group((tick * factor).toFixed(exact))));
}

// An exponential moving average without its bias towards 0 (Kingma and Ba, 2015); gaps stay gaps.
function smooth(values, weight) {
  const smoothed = new Float64Array(values.length);
  let mean = 0;
  let share = 1;
  for (let i = 0; i < values.length; i += 1) {
    const value = values[i];
    if (Number.isFinite(value)) {
      mean = weight * mean + (1 - weight) * value;
      share *= weight;
      smoothed[i] = mean / (1 - share);
    } else smoothed[i] = NaN;
  }
  return smoothed;
}

// The factor of a 95 % interval with so many degrees of freedom; between two of them by 1/df.
function findT(table, df) {
  const below = Math.max(1, Math.floor(df));
  if (below >= table.length) return table.at(-1) - (table.at(-1) - 1.96) * (1 - table.length / df);
  const part = (1 / below - 1 / Math.max(1, df)) / (1 / below - 1 / (below + 1));
  return table[below - 1] + part * (table[below] - table[below - 1]);
}

// ---- places on the axis ----

// The index of the place nearest to x in ascending places.
function findNearest(xs, x) {
  let [low, high] = [0, xs.length - 1];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (xs[middle] < x) low = middle;
    else high = middle;
  }
  return high > 0 && Math.abs(xs[high] - x) < Math.abs(xs[low] - x) ? high : low;
}

// The number of places below x.
function countBelow(xs, x) {
  let [low, high] = [0, xs.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (xs[middle] < x) low = middle + 1;
    else high = middle;
  }
  return low;
}

// The value of a curve at x: recorded, or on the straight line between neighbours; NaN beyond its ends.
function interpolate(xs, ys, x) {
  if (!xs.length || x < xs[0] || x > xs.at(-1)) return NaN;
  const after = countBelow(xs, x);
  if (xs[after] === x) return ys[after];
  const part = (x - xs[after - 1]) / (xs[after] - xs[after - 1]);
  return ys[after - 1] + part * (ys[after] - ys[after - 1]);
}

function hasPlacesOf(longer, xs) {
  if (xs === longer) return true;
  for (let i = 0; i < xs.length; i += 1) if (xs[i] !== longer[i]) return false;
  return true;
}

// The places at which curves are averaged, and whether they are those of all of them.
function findCommonPlaces(curves) {
  const longest = curves.reduce((a, b) => (b.x.length > a.x.length ? b : a)).x;
  if (curves.every((curve) => hasPlacesOf(longest, curve.x))) return { x: longest, shared: true };
  const all = new Set();
  for (const curve of curves) for (const x of curve.x) all.add(x);
  const sorted = Float64Array.from(all).sort();
  if (sorted.length <= GRID_POINTS) return { x: sorted, shared: false };
  const [first, last] = [sorted[0], sorted.at(-1)];
  return { x: Float64Array.from({ length: GRID_POINTS }, (_, i) => first + ((last - first) * i) / (GRID_POINTS - 1)), shared: false };
}

// ---- lines ----

// The runs that the chips leave, and of them those that a filter finds (null: all).
function listVisible(study, state, found) {
  return study.runs.filter((run) => run.values.every((value, factor) => !state.hidden[factor].has(value))
    && !state.hidden.at(-1).has(run.seed) && (!found || found.has(run.index)));
}

const isBroken = (run) => run.status === "diverged";

// Each run as a line {x, y, low, high}; without the point at 0, the untrained network, unless state.start.
function listRunLines(study, state, runs) {
  const lines = [];
  for (const run of runs) {
    const curve = getCurve(study, run, state.metric, state.x);
    if (!curve || !curve.x.length) continue;
    const skipped = !state.start && startsUntrained(study, state.metric) && curve.x[0] === 0 ? 1 : 0;
    const cut = (values) => (values && skipped ? values.subarray(1) : values);
    const line = { run, x: cut(curve.x), y: cut(curve.y), low: cut(curve.low), high: cut(curve.high) };
    if (line.x.length) lines.push(line);
  }
  return lines;
}

// Whether a metric has values of the untrained network, at epoch 0, that could be left out.
function startsUntrained(study, metric) {
  study.untrained ??= new Map();
  if (!study.untrained.has(metric)) {
    const curves = study.runs.map((run) => getCurve(study, run, metric, "epoch")).filter(Boolean);
    study.untrained.set(metric, curves.length > 0 && curves.every((curve) => curve.x[0] === 0) && curves.some((curve) => curve.x.length > 2));
  }
  return study.untrained.get(metric);
}

function findLastFinite(line) {
  let last = line.y.length - 1;
  while (last >= 0 && !Number.isFinite(line.y[last])) last -= 1;
  return last;
}

// Where diverged runs broke: their last finite points.
function listBreaks(lines) {
  return lines.filter((line) => isBroken(line.run)).map((line) => [line, findLastFinite(line)])
    .filter(([, last]) => last >= 0).map(([line, last]) => ({ x: line.x[last], y: line.y[last], run: line.run }));
}

// Mean, lower and upper limit and number of values: limits of the 95 % interval of the mean, or the range.
function summarize(study, values, kind) {
  const line = averageLines(study, values.map((value) => ({ x: [0], y: [value] })), kind);
  return values.length ? [line.y[0], line.low ? line.low[0] : NaN, line.high ? line.high[0] : NaN, line.n[0]] : [NaN, NaN, NaN, 0];
}

// The mean of several runs' lines where they have values, with its interval or range and the number of runs left.
function averageLines(study, lines, kind) {
  if (!lines.length) return { x: [], y: [], low: null, high: null, n: [], shared: true };
  const { x, shared } = findCommonPlaces(lines);
  const size = x.length;
  const [y, low, high, squares, n] = [0, 1, 2, 3, 4].map(() => new Float64Array(size));
  low.fill(Infinity);
  high.fill(-Infinity);
  const columns = lines.map((line) => (shared ? line.y : Float64Array.from(x, (at) => interpolate(line.x, line.y, at))));
  columns.forEach((values, index) => {
    const { low: lowest, high: highest } = shared && lines[index].low ? lines[index] : { low: values, high: values };
    for (let i = 0; i < values.length; i += 1) {
      const value = values[i];
      if (!Number.isFinite(value)) continue;
      n[i] += 1;
      const away = value - y[i];
      y[i] += away / n[i]; // Welford (1962): no difference of large sums
      squares[i] += away * (value - y[i]);
      if (lowest[i] < low[i]) low[i] = lowest[i];
      if (highest[i] > high[i]) high[i] = highest[i];
    }
  });
  let banded = kind === "range";
  for (let i = 0; i < size; i += 1) {
    if (kind !== "range") {
      const half = n[i] > 1 ? findT(study.t, n[i] - 1) * Math.sqrt(squares[i] / (n[i] - 1) / n[i]) : NaN;
      [low[i], high[i]] = [y[i] - half, y[i] + half];
      banded ||= n[i] > 1;
    }
    if (!n[i]) [y[i], low[i], high[i]] = [NaN, NaN, NaN];
  }
  return { x, y, low: banded ? low : null, high: banded ? high : null, n, shared };
}

// Differences of each line from the level `base`: seed by seed where runs of one seed are comparable, else from its mean.
function subtractBase(study, state, lines) {
  const base = listRunLines(study, state, study.runs.filter((run) => run.level === state.base));
  const mean = study.paired || !base.length ? null : averageLines(study, base, "mean");
  const differences = [];
  for (const line of lines) {
    if (line.run.level === state.base) continue;
    const from = mean || base.find((other) => other.run.seed === line.run.seed);
    if (!from) continue;
    const same = hasPlacesOf(line.x.length > from.x.length ? line.x : from.x, line.x.length > from.x.length ? from.x : line.x);
    const y = new Float64Array(line.x.length); // filled by a loop, which takes a tenth of the time of Float64Array.from
    for (let i = 0; i < y.length; i += 1) y[i] = line.y[i] - (same ? (i < from.x.length ? from.y[i] : NaN) : interpolate(from.x, from.y, line.x[i]));
    differences.push({ run: line.run, x: line.x, y, low: null, high: null });
  }
  return differences;
}

// Widen the interval of a mean difference by the uncertainty of the base's mean (Welch, 1947).
function widenByBase(study, state, line) {
  const base = listRunLines(study, state, study.runs.filter((run) => run.level === state.base));
  if (!base.length || !line.low || state.lines !== "mean") return line;
  const mean = averageLines(study, base, "mean");
  for (let i = 0; i < line.x.length; i += 1) {
    const at = mean.shared && mean.x[i] === line.x[i] ? i : findNearest(mean.x, line.x[i]);
    const [n, m] = [line.n[i], mean.n[at]];
    const half = mean.low ? mean.high[at] - mean.y[at] : NaN;
    const limits = n > 1 && m > 1 ? combineErrors(study, (line.high[i] - line.y[i]) / findT(study.t, n - 1), n, half / findT(study.t, m - 1), m) : NaN;
    [line.low[i], line.high[i]] = [line.y[i] - limits, line.y[i] + limits];
  }
  return line;
}

function combineErrors(study, first, n, second, m) {
  const variance = first ** 2 + second ** 2;
  const df = variance > 0 ? variance ** 2 / (first ** 4 / (n - 1) + second ** 4 / (m - 1)) : n - 1;
  return findT(study.t, df) * Math.sqrt(variance);
}

// Keep the limits of intervals inside the values that a metric can have.
function clipBand({ low, high }, metric) {
  if (low && typeof metric.low === "number") for (let i = 0; i < low.length; i += 1) low[i] = Math.max(low[i], metric.low);
  if (high && typeof metric.high === "number") for (let i = 0; i < high.length; i += 1) high[i] = Math.min(high[i], metric.high);
}

// What the figure shows of the visible runs: lines, points of single runs, breaks and notes.
function makeScene(study, state, runs) {
  return state.x === LEVEL ? makeLevelScene(study, state, runs) : makeCurveScene(study, state, runs);
}

function makeCurveScene(study, state, runs) {
  const recorded = listRunLines(study, state, runs);
  const own = state.base < 0 ? recorded : subtractBase(study, state, recorded);
  const breaks = listBreaks(own);
  let lines;
  if (state.lines === "runs") {
    lines = own.map((line) => ({ ...line, key: `run ${line.run.index}`, name: nameRun(study, line.run), level: line.run.level, runs: [line.run.index], breaks: breaks.filter((end) => end.run === line.run) }));
  } else {
    const groups = new Map();
    for (const line of own) groups.set(line.run.level, [...(groups.get(line.run.level) || []), line]);
    lines = [...groups].map(([level, members]) => {
      const mean = averageLines(study, members, state.lines);
      if (state.base >= 0 && !study.paired) widenByBase(study, state, mean);
      if (state.base < 0) clipBand(mean, study.metrics[state.metric]);
      return { ...mean, key: `level ${level}`, name: study.levels[level].name, level, runs: members.map((line) => line.run.index), breaks: breaks.filter((end) => end.run.level === level) };
    });
  }
  for (const line of lines) line.shown = state.smoothing > 0 ? smooth(line.y, state.smoothing) : line.y;
  return { kind: "curves", lines, points: [], own, x: { log: false, title: study.axes[study.axisNames.indexOf(state.x)].title } };
}

// Each run above the level that it had, and the mean of each level with its interval or range.
function makeLevelScene(study, state, runs) {
  const [first, second] = study.factors;
  const place = (run) => (first.at ? first.at[run.values[0]] : run.values[0]);
  const score = (run) => getFinal(study, run, state.metric);
  const base = study.runs.filter((run) => run.level === state.base);
  const baseScores = base.map(score).filter(Number.isFinite);
  const baseMean = summarize(study, baseScores, "mean");
  const difference = (run) => {
    if (state.base < 0) return score(run);
    if (!study.paired) return score(run) - baseMean[0];
    const partner = base.find((other) => other.seed === run.seed);
    return partner ? score(run) - score(partner) : NaN;
  };
  const shown = runs.filter((run) => state.base < 0 || run.level !== state.base);
  const points = shown.map((run) => ({ run, level: run.level, x: place(run), y: difference(run) })).filter((point) => Number.isFinite(point.y));
  const failed = shown.filter((run) => isBroken(run) && !Number.isFinite(score(run)));
  const lines = (second ? second.values : [null]).map((name, value) => {
    const own = points.filter((point) => !second || point.run.values[1] === value);
    const levels = [...new Set(own.map((point) => point.level))].sort((a, b) => place({ values: study.levels[a].values }) - place({ values: study.levels[b].values }));
    const rows = levels.map((level) => {
      const values = own.filter((point) => point.level === level).map((point) => point.y);
      const row = summarize(study, values, state.lines);
      if (state.base >= 0 && !study.paired && state.lines === "mean" && row[3] > 1 && baseMean[3] > 1) {
        const half = combineErrors(study, (row[2] - row[0]) / findT(study.t, row[3] - 1), row[3], (baseMean[2] - baseMean[0]) / findT(study.t, baseMean[3] - 1), baseMean[3]);
        [row[1], row[2]] = [row[0] - half, row[0] + half];
      }
      return row;
    });
    const column = (i) => Float64Array.from(rows, (row) => row[i]);
    const band = { low: column(1), high: column(2) };
    if (state.base < 0) clipBand(band, study.metrics[state.metric]);
    return { key: `series ${value}`, name: second ? second.names[value] : "", level: -1, second: value, levels, runs: own.map((point) => point.run.index), breaks: [],
      x: Float64Array.from(levels, (level) => place({ values: study.levels[level].values })), y: column(0), shown: column(0), ...band, n: column(3) };
  }).filter((line) => line.x.length);
  const failures = new Map();
  for (const run of failed) failures.set(place(run), [...(failures.get(place(run)) || []), run]);
  const all = first.values.map((label, i) => ({ at: first.at ? first.at[i] : i, label }));
  return { kind: "levels", lines, points, failures, own: [], x: { log: first.log, title: first.label, places: all, named: !first.at } };
}

// ---- what part is shown ----

// The smallest rectangle around all that is drawn; `cut` where losses far above their start would press all others flat.
function findDomain(scene, state, metric) {
  let [left, right, bottom, top] = [Infinity, -Infinity, Infinity, -Infinity];
  const takeY = (y) => {
    if (!Number.isFinite(y) || (state.log && y <= 0)) return;
    if (y < bottom) bottom = y;
    if (y > top) top = y;
  };
  for (const line of scene.lines) {
    const n = line.x.length;
    for (let i = 0; i < n; i += 1) {
      takeY(line.y[i]);
    }
    left = Math.min(left, line.x[0]);
    right = Math.max(right, line.x[n - 1]);
  }
  for (const point of scene.points) takeY(point.y);
  if (scene.x.places) {
    const places = scene.x.places.map((place) => place.at);
    [left, right] = [Math.min(...places), Math.max(...places)];
  }
  if (!(bottom < Infinity)) return null;
  const start = findStart(scene.lines, right);
  const limit = 1.5 * start;
  const cut = scene.kind === "curves" && state.base < 0 && !state.log && metric.better === "lower" && start > 0 && top > limit;
  if (cut) top = limit;
  [bottom, top] = widenByBands(scene.lines, state, bottom, top);
  if (cut) top = limit;
  if (state.base >= 0) [bottom, top] = [Math.min(bottom, 0), Math.max(top, 0)];
  if (scene.x.log) [left, right] = left === right ? [left / 2, right * 2] : [left * (left / right) ** 0.06, right * (right / left) ** 0.06];
  else if (left === right) [left, right] = [left - 0.5, right + 0.5];
  else if (scene.kind === "levels") [left, right] = [left - 0.06 * (right - left), right + 0.06 * (right - left)];
  if (state.log) return bottom < top ? { left, right, bottom: bottom / (top / bottom) ** 0.04, top: top * (top / bottom) ** 0.04, cut } : { left, right, bottom: bottom / 1.1, top: top * 1.1, cut };
  if (bottom >= top) [bottom, top] = [bottom - Math.abs(bottom) / 10 - 1e-6, top + Math.abs(top) / 10 + 1e-6];
  const air = 0.04 * (top - bottom);
  return { left, right, bottom: bottom - air, top: top + air, cut, limit };
}

// The highest first value of the lines that reach the end: one that breaks off may start where nothing else is seen.
function findStart(lines, right) {
  const whole = lines.filter((line) => line.x[line.x.length - 1] === right && Number.isFinite(line.y[line.y.length - 1]));
  return (whole.length ? whole : lines).reduce((most, line) => Math.max(most, line.y.find(Number.isFinite) ?? -Infinity), -Infinity);
}

// Bands get half as much room again on each side, for the interval of two runs may be a hundred times as wide as what it
// surrounds; and none below 0 where nothing recorded is.
function widenByBands(lines, state, bottom, top) {
  const room = state.log ? Math.sqrt(top / bottom) : (top - bottom) / 2 || Math.abs(top) / 10;
  const least = state.log ? bottom / room : bottom >= 0 && state.base < 0 ? Math.max(0, bottom - room) : bottom - room;
  const most = state.log ? top * room : top + room;
  let [low, high] = [bottom, top];
  for (const line of lines) {
    for (let i = 0; line.low && i < line.low.length; i += 1) {
      if (line.low[i] < low) low = line.low[i];
      if (line.high[i] > high) high = line.high[i];
    }
  }
  return [Math.max(low, least), Math.min(high, most)];
}

const bend = (log, value) => (log ? Math.log10(Math.max(value, 1e-300)) : value);
const unbend = (log, value) => (log ? 10 ** value : value);

// A span around a fixed place, `factor` times as long, inside the whole span and no shorter than `least` of it.
function zoomSpan([from, to], [first, last], factor, center, least = 1e-4) {
  const length = Math.min(last - first, Math.max((last - first) * least, (to - from) * factor));
  const share = to > from ? (center - from) / (to - from) : 0.5;
  return moveSpan([center - share * length, center + (1 - share) * length], [first, last], 0);
}

// A span moved by `distance`, but not out of the whole span.
function moveSpan([from, to], [first, last], distance) {
  const length = Math.min(to - from, last - first);
  const start = Math.min(Math.max(from + distance, first), last - length);
  return [start, start + length];
}

// Zoom a view {left, right, bottom, top} around a place; null where the whole domain is in sight again.
function zoomView(view, domain, factors, center, logs) {
  const span = (low, high, log, factor, at) => zoomSpan([bend(log, view[low]), bend(log, view[high])], [bend(log, domain[low]), bend(log, domain[high])], factor, bend(log, at)).map((value) => unbend(log, value));
  const [left, right] = span("left", "right", logs.x, factors.x, center.x);
  const [bottom, top] = span("bottom", "top", logs.y, factors.y, center.y);
  return simplifyView({ left, right, bottom, top }, domain);
}

function simplifyView(view, domain) {
  const near = (a, b, scale) => Math.abs(a - b) <= 1e-6 * Math.abs(scale);
  const wide = near(view.left, domain.left, domain.right - domain.left) && near(view.right, domain.right, domain.right - domain.left);
  const tall = near(view.bottom, domain.bottom, domain.top - domain.bottom) && near(view.top, domain.top, domain.top - domain.bottom);
  return wide && tall ? null : view;
}

// ---- drawing fewer points than there are ----

// Pixels of a line's part in view: all points where they are few, else of each column the first, lowest, highest and last.
function tracePixels(xs, ys, toX, toY, view, columns) {
  const from = Math.max(0, countBelow(xs, view.left) - 1);
  const to = Math.min(xs.length, countBelow(xs, view.right) + 2);
  if (to - from <= 3 * columns) {
    const pixels = new Float32Array(2 * (to - from));
    for (let i = from, at = 0; i < to; i += 1, at += 2) {
      pixels[at] = toX(xs[i]);
      pixels[at + 1] = toY(ys[i]);
    }
    return pixels;
  }
  const pixels = new Float32Array(8 * (columns + 4));
  let [at, column, first, last, low, high, x] = [0, NaN, 0, 0, 0, 0, 0];
  const flush = () => {
    for (const y of [first, low, high, last]) [pixels[at], pixels[at + 1], at] = [x, y, at + 2];
  };
  for (let i = from; i < to; i += 1) {
    const own = Math.round(toX(xs[i]));
    const y = toY(ys[i]);
    if (own !== column) {
      if (column === column && at + 8 <= pixels.length) flush();
      [column, x, first, low, high, last] = [own, own, y, y, y, y];
    } else {
      if (!(y >= low)) low = y;
      if (!(y <= high)) high = y;
      last = y;
    }
  }
  if (at + 8 <= pixels.length) flush();
  return pixels.subarray(0, at);
}

// Polygons of a band's parts in view, split where it has a gap; of each column of pixels the highest and lowest.
function traceBand(line, toX, toY, view, columns) {
  const from = Math.max(0, countBelow(line.x, view.left) - 1);
  const to = Math.min(line.x.length, countBelow(line.x, view.right) + 2);
  const merged = to - from > 2 * columns;
  const pieces = [];
  let piece = [];
  const flush = () => {
    if (piece.length > 1) {
      const pixels = new Float32Array(4 * piece.length);
      piece.forEach(([x, high, low], i) => {
        const back = 4 * piece.length - 2 - 2 * i;
        [pixels[2 * i], pixels[2 * i + 1], pixels[back], pixels[back + 1]] = [x, high, x, low];
      });
      pieces.push(pixels);
    }
    piece = [];
  };
  for (let i = from; i < to; i += 1) {
    const [high, low] = [toY(line.high[i]), toY(line.low[i])];
    if (high !== high) {
      flush();
      continue;
    }
    const x = merged ? Math.round(toX(line.x[i])) : toX(line.x[i]);
    const last = piece[piece.length - 1];
    if (merged && last && last[0] === x) {
      if (high < last[1]) last[1] = high;
      if (!(low <= last[2])) last[2] = low;
    } else piece.push([x, high, low]);
  }
  flush();
  return pieces;
}

// Set the pixels of a line in an image of width × height: of each column all between its lowest and highest place.
function rasterLine(image, width, height, pixels, color, thick, area) {
  const left = Math.max(0, area.left);
  const right = Math.min(width - 1, area.right);
  const top = Math.max(0, area.top);
  const bottom = Math.min(height - 1, area.bottom);
  const half = thick / 2;
  for (let i = 0; i + 3 < pixels.length; i += 2) {
    const x0 = pixels[i];
    const y0 = pixels[i + 1];
    const x1 = pixels[i + 2];
    const y1 = pixels[i + 3];
    if (y0 !== y0 || y1 !== y1 || x1 < left || x0 > right) continue;
    const slope = x1 > x0 ? (y1 - y0) / (x1 - x0) : 0;
    const last = x1 < right ? x1 | 0 : right;
    for (let column = x0 > left ? x0 | 0 : left; column <= last; column += 1) {
      const ya = column <= x0 ? y0 : y0 + slope * (column - x0);
      const yb = column + 1 >= x1 ? y1 : y0 + slope * (column + 1 - x0);
      let from = ((ya < yb ? ya : yb) - half + 0.5) | 0;
      let to = ((ya < yb ? yb : ya) + half - 0.5) | 0;
      if (from < top) from = top;
      if (to > bottom) to = bottom;
      for (let row = from, at = from * width + column; row <= to; row += 1, at += width) image[at] = color;
    }
  }
}

// A colour #rrggbb as the number that an opaque pixel is in a little-endian image.
const packColor = (color) => (0xff000000 | (parseInt(color.slice(5, 7), 16) << 16) | (parseInt(color.slice(3, 5), 16) << 8) | parseInt(color.slice(1, 3), 16)) >>> 0;

// ---- the filter ----

const plain = (text) => text.toLowerCase().replace(/\u2212/g, "-").replace(/(\d),(?=\d{3}(?!\d))/g, "$1").replace(/[\u00a0\s]+/g, " ").trim();

// The number that a cell begins with: "87.34 %", "1,024"; NaN for text.
function readNumber(text) {
  const found = plain(text).match(/^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?/);
  return found ? Number(found[0]) : NaN;
}

// The index of the column that words name: exactly, else by the beginnings of its words, the preferred column first.
function findColumn(columns, words, preferred) {
  const wanted = plain(words).split(/[ _]+/).filter(Boolean);
  if (!wanted.length) return -1;
  const exact = columns.findIndex((name) => plain(name) === wanted.join(" "));
  if (exact >= 0) return exact;
  const fits = (name) => wanted.every((word) => plain(name).split(" ").some((own) => own.startsWith(word)));
  return preferred >= 0 && fits(columns[preferred]) ? preferred : columns.findIndex(fits);
}

const COMPARE = {
  "<": (a, b) => a < b, ">": (a, b) => a > b, "<=": (a, b) => a <= b, ">=": (a, b) => a >= b, "=": (a, b) => a === b, "!=": (a, b) => a !== b,
};

// Read a filter: conditions joined by "and", commas or "or". A condition compares a column ("accuracy > 87"), names a
// value in one ("rate 0.001", "status diverged"), or is text in any. What cannot be read is in `problems`.
function parseFilter(text, columns, preferred = -1) {
  const [problems, readings] = [[], []];
  const groups = text.split(/(?:\s*,)?\s+or\s+/i).map((part) => part.split(/\s+and\s+|\s*[,;]\s+|\s*[,;]$/i).map((condition) => condition.trim()).filter(Boolean));
  const alternatives = groups.map((parts) => parts.map((part) => parseCondition(part, columns, preferred, problems, readings)).filter(Boolean)).filter((tests) => tests.length);
  return { matches: (cells) => !alternatives.length || alternatives.some((tests) => tests.every((test) => test(cells))), problems, readings, empty: !alternatives.length };
}

function parseCondition(text, columns, preferred, problems, readings) {
  const compared = text.match(/^(.*?)\s*(<=|>=|!=|==|<|>|=|\u2264|\u2265)\s*(.*)$/);
  if (compared) return parseComparison(compared, columns, preferred, problems, readings);
  const words = text.split(/\s+/);
  for (let n = words.length - 1; n > 0; n -= 1) {
    const column = findColumn(columns, words.slice(0, n).join(" "), preferred);
    if (column >= 0) return testCell(column, words.slice(n).join(" "));
  }
  const [number, wanted] = [Number(plain(text).replace(/ ?%$/, "")), plain(text)];
  if (wanted && Number.isFinite(number)) return (cells) => cells.some((cell) => readNumber(cell) === number);
  return (cells) => cells.some((cell) => plain(cell).includes(wanted));
}

function parseComparison([, name, written, value], columns, preferred, problems, readings) {
  const column = findColumn(columns, name, preferred);
  if (column < 0) {
    problems.push(name ? `No column is called \u201c${name}\u201d. Columns: ${columns.map(decapitalize).join(", ")}.` : `Name a column before \u201c${written}\u201d.`);
    return null;
  }
  if (!value.trim()) {
    problems.push(`Write a value after \u201c${written}\u201d.`);
    return null;
  }
  if (plain(columns[column]) !== plain(name)) readings.push(decapitalize(columns[column]));
  const operator = { "==": "=", "\u2264": "<=", "\u2265": ">=" }[written] || written;
  const number = Number(plain(value).replace(/ ?%$/, ""));
  if (Number.isFinite(number)) return (cells) => Number.isFinite(readNumber(cells[column])) && COMPARE[operator](readNumber(cells[column]), number);
  if (operator === "=") return testCell(column, value);
  if (operator === "!=") return (cells) => !testCell(column, value)(cells);
  problems.push(`\u201c${value}\u201d is not a number.`);
  return null;
}

function testCell(column, value) {
  const [wanted, number] = [plain(value), Number(plain(value).replace(/ ?%$/, ""))];
  if (Number.isFinite(number)) return (cells) => readNumber(cells[column]) === number;
  return (cells) => plain(cells[column]).includes(wanted);
}

// A filter that finds some of these rows, as the example in the empty field.
function suggestFilter(columns, rows, preferred, better) {
  const values = preferred < 0 ? [] : rows.map((cells) => readNumber(cells[preferred])).filter(Number.isFinite).sort((a, b) => a - b);
  if (values.length < 2 || values[0] === values.at(-1)) return rows.length ? `${decapitalize(columns[0])} ${rows[0][0]}` : "";
  const middle = values[Math.floor(values.length / 2)];
  const spread = 10 ** Math.floor(Math.log10(values.at(-1) - values[0]));
  const operator = better === "higher" ? ">" : "<";
  for (const unit of [spread, spread / 10, spread / 100]) {
    const limit = Number((better === "higher" ? Math.floor(middle / unit) * unit : Math.ceil(middle / unit) * unit).toPrecision(6));
    const n = values.filter((value) => COMPARE[operator](value, limit)).length;
    if (n && n < values.length) return `${decapitalize(columns[preferred])} ${operator} ${limit}`;
  }
  return `${decapitalize(columns[preferred])} ${operator}= ${middle}`;
}

// Order of rows by a column: numbers by size, texts by the alphabet, what is missing last.
function sortRows(rows, column, descending) {
  const keys = rows.map((cells) => readNumber(cells[column]));
  const texts = rows.map((cells) => cells[column]);
  const turn = descending ? -1 : 1;
  return rows.map((_, i) => i).sort((a, b) => {
    const [left, right] = [keys[a], keys[b]];
    if (Number.isNaN(left) && Number.isNaN(right)) return turn * texts[a].localeCompare(texts[b]) || a - b;
    if (Number.isNaN(left) || Number.isNaN(right)) return Number.isNaN(left) ? 1 : -1;
    return turn * (left - right) || a - b;
  });
}

// ---- downloads ----

function writeCsv(rows) {
  const cell = (value) => {
    const number = typeof value === "number" && (Number.isInteger(value) ? value : Number(value.toPrecision(7))); // of float32
    const text = typeof value === "number" ? (Number.isFinite(value) ? String(number) : "") : String(value ?? "");
    return /[",\n]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text;
  };
  return rows.map((row) => `${row.map(cell).join(",")}\r\n`).join("");
}

// Every point that is drawn, as rows: level, seed or number of runs, place, value, and limits where there are some.
function listPointRows(study, state, scene) {
  const axis = state.x === LEVEL ? decapitalize(study.factors[0].label) : state.x;
  const metric = `${study.metrics[state.metric].name}${state.base >= 0 ? " difference" : ""}`;
  if (scene.kind === "levels") return [["level", "seed", axis, metric], ...scene.points.map(({ run, x, y }) => [study.levels[run.level].name, study.seeds[run.seed], scene.x.named ? scene.x.places[x].label : x, y])];
  if (state.lines === "runs") {
    const banded = scene.lines.some((line) => line.low);
    const rows = scene.lines.flatMap((line) => Array.from(line.x, (x, i) => [study.levels[line.level].name, study.seeds[line.run.seed], x, line.y[i], ...(banded ? [line.low[i], line.high[i]] : [])]));
    return [["level", "seed", axis, metric, ...(banded ? ["lowest", "highest"] : [])], ...rows];
  }
  const limits = state.lines === "mean" ? ["low_95", "high_95"] : ["lowest", "highest"];
  const rows = scene.lines.flatMap((line) => Array.from(line.x, (x, i) => [line.name, line.n[i], x, line.y[i], line.low?.[i], line.high?.[i]]));
  return [["level", "n_runs", axis, metric, ...limits], ...rows];
}

// ---- the state of the view as text ----

function makeState(study) {
  const metric = listAxes(study, study.decides).length ? study.decides : Math.max(0, study.metrics.findIndex((_, i) => listAxes(study, i).length));
  const manySeeds = study.seeds.length > 1;
  return {
    metric, x: listAxes(study, metric)[0] || LEVEL, lines: manySeeds ? "mean" : "runs", base: -1, log: false, start: false, smoothing: 0,
    hidden: [...study.factors, null].map(() => new Set()), filter: "", sort: null, zoom: null,
  };
}

// The parts of a state that differ from the default, as in "metric=val_loss&x=step"; "" for the default.
function encodeState(study, state) {
  const [parts, base] = [new URLSearchParams(), makeState(study)];
  if (state.metric !== base.metric) parts.set("metric", study.metrics[state.metric].name);
  if (state.x !== listAxes(study, state.metric)[0]) parts.set("x", state.x);
  if (state.lines !== base.lines) parts.set("lines", state.lines);
  if (state.base >= 0) parts.set("base", state.base);
  for (const key of ["log", "start"]) if (state[key]) parts.set(key, 1);
  if (state.smoothing) parts.set("smoothing", state.smoothing);
  state.hidden.forEach((set, i) => {
    const n = i < study.factors.length ? study.factors[i].values.length : study.seeds.length;
    const shown = Array.from({ length: n }, (_, value) => value).filter((value) => !set.has(value));
    if (set.size) parts.set(`${shown.length < set.size ? "only" : "hide"}${i}`, (shown.length < set.size ? shown : [...set].sort((a, b) => a - b)).join("."));
  });
  if (state.filter) parts.set("filter", state.filter);
  if (state.sort) parts.set("sort", `${state.sort.column}${state.sort.descending ? "d" : "a"}`);
  if (state.zoom) parts.set("zoom", ["left", "right", "bottom", "top"].map((side) => Number(state.zoom[side].toPrecision(6))).join("_"));
  return parts.toString();
}

// The state in such a text; parts that this study does not have are left at their default.
function decodeState(study, text) {
  const [state, parts] = [makeState(study), new URLSearchParams(text)];
  const metric = study.metrics.findIndex((candidate) => candidate.name === parts.get("metric"));
  if (metric >= 0 && listAxes(study, metric).length) state.metric = metric;
  const axes = listAxes(study, state.metric);
  state.x = axes.includes(parts.get("x")) ? parts.get("x") : axes[0] || LEVEL;
  if (LINES.includes(parts.get("lines")) && study.seeds.length > 1) state.lines = parts.get("lines");
  const base = Number(parts.get("base") ?? -1);
  if (Number.isInteger(base) && base < study.levels.length) state.base = Math.max(-1, base);
  for (const key of ["log", "start"]) state[key] = parts.get(key) === "1";
  if (state.base >= 0) state.log = false;
  state.smoothing = Math.min(0.99, Math.max(0, Number(parts.get("smoothing")) || 0));
  state.hidden.forEach((set, i) => {
    const n = i < study.factors.length ? study.factors[i].values.length : study.seeds.length;
    const read = (key) => parts.get(`${key}${i}`)?.split(".").filter(Boolean).map(Number);
    const [only, hide] = [read("only"), read("hide")];
    for (let value = 0; value < n; value += 1) if (only ? !only.includes(value) : hide?.includes(value)) set.add(value);
  });
  state.filter = parts.get("filter") || "";
  const sort = (parts.get("sort") || "").match(/^(\d+)([ad])$/);
  if (sort) state.sort = { column: Number(sort[1]), descending: sort[2] === "d" };
  const [left, right, bottom, top] = (parts.get("zoom") || "").split("_").map(Number);
  if (right > left && top > bottom) state.zoom = { left, right, bottom, top };
  return state;
}

// ---- what the note below the figure says ----

function describeScene(study, state, scene, domain, drawn) {
  if (!drawn.runs) return ["Every run is hidden."];
  if (!domain) return [state.log ? "No value is above 0, which a log scale needs." : "These runs have no values of this kind."];
  const said = [];
  const metric = study.metrics[state.metric];
  const grouped = state.lines !== "runs";
  if (state.base >= 0) {
    const how = study.paired ? "seed by seed" : `from the mean of its runs, because seeds of different levels are not comparable`;
    said.push(`Differences from ${study.levels[state.base].name}, taken ${how}.`);
  }
  const all = scene.lines.length <= MOST_BANDS ? "bands are" : "the band of the line under the pointer is";
  const sizes = scene.lines.flatMap((line) => (scene.kind === "levels" ? Array.from(line.n) : [line.runs.length]));
  const [fewest, most] = [Math.min(...sizes), Math.max(...sizes)];
  const runs = fewest < most ? `${fewest} to ${count(most, "run")}` : count(most, "run");
  if (grouped) said.push(state.lines === "mean" ? `Lines are means over ${runs}; ${all} ${all.endsWith("is") ? "the 95 % interval" : "95 % intervals"} of the mean (Student\u2019s t).` : `Lines are means over ${runs}; ${all} the range from the lowest to the highest run.`);
  if (scene.kind === "levels") {
    if (grouped) said[said.length - 1] = state.lines === "mean" ? `Discs are means over ${runs}, bars their 95 % intervals, rings single runs.` : `Discs are means over ${runs}, bars the range, rings single runs.`;
    else said.push(study.paired ? "Rings are single runs; lines join those of one seed." : "Rings are single runs.");
    const failed = [...scene.failures.values()].flat();
    if (failed.length) said.push(`${count(failed.length, "run")} diverged and ${failed.length === 1 ? "has" : "have"} no final value (\u00d7 at the lower edge).`);
    return said;
  }
  const every = study.reduced[state.metric];
  if (every > 1) said.push(metric.name === "step_loss" ? `Each point stands for ${every} steps: their mean, with the lowest and highest as a band where runs are single lines.` : `One of ${every} recorded points is drawn.`);
  else said.push(`${count(drawn.points, "recorded point")}.`);
  if (!state.start && state.metric < study.nFinal && startsUntrained(study, state.metric)) said.push("The untrained network is left out.");
  if (grouped && scene.lines.some((line) => !line.shared)) said.push("Runs are recorded at different places, so means are taken along straight lines between their points.");
  const broken = scene.lines.filter((line) => line.breaks.length);
  const n = broken.reduce((sum, line) => sum + line.breaks.length, 0);
  if (n && grouped) {
    const parts = broken.slice(0, 3).map((line) => `${line.name}: ${line.breaks.length} of ${line.runs.length}`);
    said.push(`${count(n, "run")} diverged where a \u00d7 stands (${parts.join("; ")}${broken.length > 3 ? "; \u2026" : ""}); beyond it the mean is of the runs left.`);
  } else if (n) said.push(`${count(n, "run")} diverged where a \u00d7 stands.`);
  if (domain.cut && !state.zoom) said.push(`Values above ${formatValue(metric, domain.limit)} are cut off; the log scale shows them.`);
  return said;
}
