/* The explorer: curves, the table of runs and what differs between two of them. It asks nothing of any network. */
(() => {
  "use strict";

  const NARROW = 560; // pixels; below, the axes get fewer ticks
  const LISTED = 12; // lines that the readout names; more would cover the figure
  const MARGIN = { left: 58, right: 14, top: 12, bottom: 40 };
  const METRICS = {
    val_loss: { label: "Validation loss" },
    val_accuracy: { label: "Validation accuracy" },
    train_loss: { label: "Training loss, mean of the epoch" },
    train_accuracy: { label: "Training accuracy, mean of the epoch" },
    step_loss: { label: "Training loss, each step" },
  };
  const DASHES = [ // one for each level
    [], [7, 4], [2, 3], [12, 4, 2, 4], [16, 3], [4, 2], [12, 4, 2, 4, 2, 4], [1, 5], [9, 9], [16, 3, 6, 3], [3, 8], [6, 2, 1, 2],
  ];
  const BY_EPOCH = ["val_loss", "val_accuracy", "train_loss", "train_accuracy"]; // their order in the data

  /* ---- elements ---- */

  function make(tag, attributes = {}, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else if (value !== false) node.setAttribute(name, value === true ? "" : value);
    }
    node.append(...children);
    return node;
  }

  /* The kind of line that a level has. */
  function drawDash(level) {
    const [svg, line] = ["svg", "line"].map((tag) => document.createElementNS("http://www.w3.org/2000/svg", tag));
    for (const [name, value] of Object.entries({ width: 30, height: 6, "aria-hidden": "true" })) svg.setAttribute(name, value);
    const look = { x2: 30, y1: 3, y2: 3, stroke: "currentColor", "stroke-width": 2, "stroke-dasharray": DASHES[level % DASHES.length].join(" ") };
    for (const [name, value] of Object.entries(look)) line.setAttribute(name, value);
    svg.append(line);
    return svg;
  }

  function makeChoice(explorer, legend, name, options) {
    const group = `${name}-${explorer.id}`;
    const radios = Object.entries(options).map(([value, text]) => {
      const radio = make("input", { type: "radio", name: group, value, checked: explorer.state[name] === value });
      radio.addEventListener("change", () => explorer.set({ [name]: value, zoom: null }));
      return make("label", {}, radio, make("span", {}, text));
    });
    return make("fieldset", { class: "choice" }, make("legend", {}, legend), ...radios);
  }

  function makeToggles(explorer, legend, names, hidden, swatch) {
    const buttons = names.map((name, place) => make("button", {
      type: "button", "aria-pressed": "true", title: "Click: show or hide. Double-click: only this one.",
      onclick: () => explorer.toggle(hidden, place), ondblclick: () => explorer.isolate(hidden, place, names.length),
    }, ...(swatch ? [swatch(place)] : []), name));
    const every = make("button", { type: "button", class: "every", onclick: () => explorer.toggleAll(hidden, names.length) }, "All or none");
    const box = make("div", { class: "chips" }, ...buttons, ...(names.length > 1 ? [every] : []));
    explorer.onchange.push(() => buttons.forEach((button, place) => button.setAttribute("aria-pressed", !hidden.has(place))));
    return make("fieldset", { class: "toggles" }, make("legend", {}, legend), box);
  }

  /* ---- numbers ---- */

  function formatValue(metric, value) {
    if (!Number.isFinite(value)) return "diverged";
    if (metric.endsWith("accuracy")) return `${(100 * value).toFixed(2)} %`;
    return Math.abs(value) < 100 ? value.toFixed(4) : value.toPrecision(3);
  }

  function listTicks(low, high, count, least = 0) {
    const rough = (high - low) / count;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = Math.max(least, power * [1, 2, 5, 10].find((factor) => factor * power >= rough));
    const ticks = [];
    for (let place = Math.ceil(low / step - 1e-9); place * step <= high + 1e-9 * step; place += 1) ticks.push(place * step);
    return ticks;
  }

  function listLogTicks(low, high) {
    const ticks = [];
    for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power += 1) {
      for (const factor of [1, 2, 5]) ticks.push(factor * 10 ** power);
    }
    const inside = ticks.filter((tick) => tick >= low && tick <= high);
    if (inside.length < 3) return listTicks(low, high, 5).filter((tick) => tick > 0);
    return inside.length > 9 ? inside.filter((tick) => Number.isInteger(Math.round(1e9 * Math.log10(tick)) / 1e9)) : inside;
  }

  const trim = (number) => String(Number(number.toPrecision(6)));
  const count = (number, noun, plural = `${noun}s`) => `${number.toLocaleString("en")} ${number === 1 ? noun : plural}`;

  /* An exponential moving average without its bias towards 0: the raw values stay underneath. */
  function smooth(values, weight) {
    let mean = 0;
    let share = 1;
    return values.map((value) => {
      if (!Number.isFinite(value)) return NaN;
      mean = weight * mean + (1 - weight) * value;
      share *= weight;
      return mean / (1 - share);
    });
  }

  /* ---- the recorded values ---- */

  class Runs {
    constructor(data) {
      Object.assign(this, data);
      const bytes = Uint8Array.from(atob(data.values), (char) => char.charCodeAt(0));
      const values = new Float32Array(bytes.buffer);
      let offset = 0;
      for (const run of this.runs) {
        run.values = {};
        run.epochs = Array.from({ length: Math.ceil(run.last / this.every) }, (_, place) => place * this.every).concat(run.last);
        for (const metric of BY_EPOCH) {
          run.values[metric] = values.subarray(offset, offset + run.epochs.length);
          offset += run.epochs.length;
        }
        for (const part of this.each > 1 ? ["step_loss", "lowest", "highest"] : ["step_loss"]) {
          run.values[part] = values.subarray(offset, offset + run.n_steps);
          offset += run.n_steps;
        }
      }
    }

    name(run) {
      return `${this.nameCombination(run)}, seed ${this.seeds[run.seed]}`;
    }

    nameCombination({ rate, level }) {
      return `${this.rates[rate].name}${this.axis ? `, ${this.axis} ${this.levels[level]}` : ""}`;
    }

    /* Where the points of a run lie on the axis: epochs, or steps of the optimiser. */
    places(run, metric, axis) {
      const steps_per_epoch = this.steps_per_epoch[run.level];
      if (metric !== "step_loss") return run.epochs.map((epoch) => (axis === "epoch" ? epoch : epoch * steps_per_epoch));
      const scale = axis === "epoch" ? 1 / steps_per_epoch : 1;
      const middle = (this.each - 1) / 2 + 1;
      return Float64Array.from({ length: run.n_steps }, (_, place) => scale * (place * this.each + middle));
    }
  }

  /* Whether the untrained network is left out: its loss would press all others together. */
  const hidesUntrained = (state) => state.metric !== "step_loss" && state.from === "first";

  /* The lines to draw: one for each run shown, or one for each rate and level with the range of its seeds. */
  function listLines(runs, state) {
    const shown = runs.runs.filter((run) => !state.rates.has(run.rate) && !state.levels.has(run.level) && !state.seeds.has(run.seed));
    const skipped = hidesUntrained(state) ? 1 : 0;
    const lines = shown.filter((run) => state.metric === "step_loss" || run.epochs.length > skipped).map((run) => ({
      record: run.record, rate: run.rate, level: run.level, name: runs.name(run), broken: run.status === "diverged", n: 1,
      x: runs.places(run, state.metric, state.axis).slice(skipped), y: run.values[state.metric].slice(skipped),
      low: state.metric === "step_loss" ? run.values.lowest : undefined,
      high: state.metric === "step_loss" ? run.values.highest : undefined,
    }));
    const drawn = state.show === "mean" ? averageLines(runs, lines) : lines;
    for (const line of drawn) line.shown = state.smoothing > 0 ? smooth(Array.from(line.y), state.smoothing) : line.y;
    return drawn;
  }

  function averageLines(runs, lines) {
    const by_record = new Map();
    for (const line of lines) by_record.set(line.record, [...(by_record.get(line.record) || []), line]);
    return [...by_record.values()].map((own) => {
      const longest = own.reduce((one, other) => (other.x.length > one.x.length ? other : one));
      const at = (index) => own.map((line) => line.y[index]).filter(Number.isFinite);
      const columns = Array.from(longest.x, (_, index) => at(index));
      return {
        ...own[0], name: runs.nameCombination(own[0]), broken: own.some((line) => line.broken), n: own.length, x: longest.x,
        n_points: columns.reduce((sum, column) => sum + column.length, 0),
        y: columns.map((column) => column.reduce((sum, one) => sum + one, 0) / column.length),
        low: columns.map((column) => Math.min(...column)), high: columns.map((column) => Math.max(...column)),
      };
    });
  }

  function findDomain(lines, state, limit) {
    const span = [Infinity, -Infinity, Infinity, -Infinity];
    const take = (x, y) => {
      if (!Number.isFinite(y) || (state.scale === "log" && y <= 0)) return;
      span[0] = Math.min(span[0], x);
      span[1] = Math.max(span[1], x);
      span[2] = Math.min(span[2], y);
      span[3] = Math.max(span[3], y);
    };
    for (const line of lines) {
      for (let place = 0; place < line.x.length; place += 1) {
        take(line.x[place], line.y[place]);
        if (line.low) take(line.x[place], line.low[place]);
        if (line.high) take(line.x[place], line.high[place]);
      }
    }
    if (!(span[0] < Infinity)) return null;
    let [left, right, bottom, top] = span;
    const cut = state.scale === "linear" && state.metric.endsWith("loss") && limit !== null && top > limit;
    if (cut) top = limit;
    if (left === right) [left, right] = [left - 0.5, right + 0.5];
    if (bottom >= top) [bottom, top] = [bottom - Math.abs(bottom) / 10 - 1e-6, top + Math.abs(top) / 10 + 1e-6];
    const air = 0.04 * (top - bottom);
    return state.scale === "log"
      ? { left, right, bottom: bottom / 1.05, top: top * 1.05, cut }
      : { left, right, bottom: bottom - air, top: top + air, cut };
  }

  /* ---- the figure ---- */

  class Plot {
    constructor(explorer) {
      this.explorer = explorer;
      this.canvas = make("canvas", { "aria-hidden": "true" });
      this.cover = make("canvas", { "aria-hidden": "true" });
      this.readout = make("div", { class: "readout", hidden: true });
      this.spoken = make("p", { class: "spoken", "aria-live": "polite" });
      this.box = make("div", { class: "plot", role: "application", tabindex: "0" }, this.canvas, this.cover, this.readout);
      this.listen();
      new ResizeObserver(() => this.draw()).observe(this.box);
    }

    listen() {
      const at = (event) => [event.offsetX, event.offsetY];
      this.cover.addEventListener("pointerdown", (event) => {
        if (event.pointerType === "mouse") this.start = at(event);
      });
      this.cover.addEventListener("pointermove", (event) => this.point(...at(event)));
      this.cover.addEventListener("pointerup", (event) => this.release(...at(event)));
      this.cover.addEventListener("pointerleave", () => this.point(null));
      this.cover.addEventListener("dblclick", () => this.explorer.set({ zoom: null }));
      this.box.addEventListener("keydown", (event) => this.press(event));
      this.box.addEventListener("blur", () => this.point(null));
    }

    measure() {
      const ratio = window.devicePixelRatio || 1;
      this.width = this.box.clientWidth;
      this.height = this.box.clientHeight;
      for (const canvas of [this.canvas, this.cover]) {
        canvas.width = Math.round(this.width * ratio);
        canvas.height = Math.round(this.height * ratio);
        canvas.getContext("2d").setTransform(ratio, 0, 0, ratio, 0, 0);
      }
    }

    scale() {
      const { left, right, bottom, top } = this.view;
      const wide = this.width - MARGIN.left - MARGIN.right;
      const tall = this.height - MARGIN.top - MARGIN.bottom;
      const bend = this.explorer.state.scale === "log" ? (y) => Math.log10(Math.max(y, 1e-30)) : (y) => y;
      const unbend = this.explorer.state.scale === "log" ? (y) => 10 ** y : (y) => y;
      const [floor, ceiling] = [bend(bottom), bend(top)];
      return {
        x: (x) => MARGIN.left + (wide * (x - left)) / (right - left),
        y: (y) => MARGIN.top + tall * (1 - (bend(y) - floor) / (ceiling - floor)),
        fromX: (pixel) => left + ((right - left) * (pixel - MARGIN.left)) / wide,
        fromY: (pixel) => unbend(floor + (ceiling - floor) * (1 - (pixel - MARGIN.top) / tall)),
      };
    }

    draw() {
      const { state, runs } = this.explorer;
      this.measure();
      this.lines = listLines(runs, state);
      const pen = this.canvas.getContext("2d");
      const domain = findDomain(this.lines, state, runs.limit);
      this.explorer.describe(this, domain);
      if (!domain || !this.width) return;
      this.view = state.zoom || domain;
      this.at = this.scale();
      this.drawAxes(pen);
      pen.save();
      pen.beginPath();
      pen.rect(MARGIN.left, MARGIN.top, this.width - MARGIN.left - MARGIN.right, this.height - MARGIN.top - MARGIN.bottom);
      pen.clip();
      this.n_drawn = this.lines.reduce((sum, line) => sum + this.drawLine(pen, line), 0);
      pen.restore();
      this.explorer.describe(this, domain);
    }

    drawAxes(pen) {
      const { state } = this.explorer;
      const style = getComputedStyle(this.box);
      const narrow = this.width < NARROW;
      const { left, right, bottom, top } = this.view;
      const up = state.scale === "log" ? listLogTicks(bottom, top) : listTicks(bottom, top, 6);
      const whole = state.axis === "step" || state.metric !== "step_loss"; // no point lies between
      const across = listTicks(left, right, narrow ? 4 : 8, whole ? 1 : 0);
      pen.font = `12px ${style.fontFamily}`;
      pen.fillStyle = style.color;
      pen.strokeStyle = style.color;
      pen.lineWidth = 1;
      pen.textBaseline = "middle";
      pen.textAlign = "right";
      for (const tick of up) {
        const y = this.at.y(tick);
        pen.globalAlpha = 0.15;
        pen.beginPath();
        pen.moveTo(MARGIN.left, y);
        pen.lineTo(this.width - MARGIN.right, y);
        pen.stroke();
        pen.globalAlpha = 1;
        pen.fillText(state.metric.endsWith("accuracy") ? `${trim(100 * tick)} %` : trim(tick), MARGIN.left - 8, y);
      }
      pen.textBaseline = "top";
      pen.textAlign = "center";
      for (const tick of across) pen.fillText(trim(tick), this.at.x(tick), this.height - MARGIN.bottom + 8);
      pen.fillText(state.axis, (MARGIN.left + this.width - MARGIN.right) / 2, this.height - 15);
    }

    drawLine(pen, line) {
      const color = this.explorer.color(line.rate);
      pen.strokeStyle = color;
      pen.fillStyle = color;
      if (line.low && line.n + this.explorer.runs.each > 2) this.fillBand(pen, line);
      const smoothed = this.explorer.state.smoothing > 0;
      pen.lineWidth = smoothed ? 1 : 1.6;
      pen.globalAlpha = smoothed ? 0.3 : 1;
      const drawn = this.trace(pen, line.level, line.x, line.y);
      pen.globalAlpha = 1;
      if (smoothed) {
        pen.lineWidth = 2;
        this.trace(pen, line.level, line.x, line.shown);
      }
      if (line.x.length <= 40) this.dot(pen, line);
      if (line.broken) this.cross(pen, line);
      return line.n_points ?? drawn;
    }

    trace(pen, level, xs, ys) {
      const log = this.explorer.state.scale === "log";
      let drawn = 0;
      let inside = false;
      pen.setLineDash(DASHES[level % DASHES.length]);
      pen.beginPath();
      for (let place = 0; place < xs.length; place += 1) {
        const y = ys[place];
        if (Number.isFinite(y) && !(log && y <= 0)) {
          if (inside) pen.lineTo(this.at.x(xs[place]), this.at.y(y));
          else pen.moveTo(this.at.x(xs[place]), this.at.y(y));
          inside = true;
          drawn += 1;
        } else inside = false;
      }
      pen.stroke();
      pen.setLineDash([]);
      return drawn;
    }

    fillBand(pen, line) {
      const finite = Array.from(line.x, (_, place) => place).filter((place) => Number.isFinite(line.low[place]));
      pen.globalAlpha = 0.16;
      pen.beginPath();
      for (const place of finite) pen.lineTo(this.at.x(line.x[place]), this.at.y(line.high[place]));
      for (const place of finite.reverse()) pen.lineTo(this.at.x(line.x[place]), this.at.y(line.low[place]));
      pen.fill();
      pen.globalAlpha = 1;
    }

    dot(pen, line) {
      for (let place = 0; place < line.x.length; place += 1) {
        if (!Number.isFinite(line.shown[place])) continue;
        pen.beginPath();
        pen.arc(this.at.x(line.x[place]), this.at.y(line.shown[place]), 2.4, 0, 7);
        pen.fill();
      }
    }

    cross(pen, line) {
      let last = line.x.length - 1;
      while (last > 0 && !Number.isFinite(line.y[last])) last -= 1;
      const [x, y] = [this.at.x(line.x[last]), Math.max(MARGIN.top + 6, this.at.y(line.y[last]))];
      pen.lineWidth = 2;
      pen.beginPath();
      for (const side of [-1, 1]) {
        pen.moveTo(x - 5, y - 5 * side);
        pen.lineTo(x + 5, y + 5 * side);
      }
      pen.stroke();
    }

    /* Show the values at the recorded point nearest to a pixel, and the rectangle being drawn. */
    point(x, y) {
      const pen = this.cover.getContext("2d");
      pen.clearRect(0, 0, this.width, this.height);
      this.readout.hidden = true;
      if (x === null || !this.view || !this.lines.length) {
        this.start = null;
        return;
      }
      const style = getComputedStyle(this.box);
      pen.strokeStyle = style.color;
      pen.fillStyle = style.color;
      if (this.start && Math.hypot(x - this.start[0], y - this.start[1]) > 4) {
        pen.globalAlpha = 0.15;
        pen.fillRect(...this.start, x - this.start[0], y - this.start[1]);
        return;
      }
      this.read(this.at.fromX(x), y, pen);
    }

    read(x, y, pen) {
      const found = this.lines.map((line) => ({ line, place: findNearest(line.x, x) })).filter(({ line, place }) => Number.isFinite(line.y[place]));
      if (!found.length) return;
      const nearest = found.reduce((one, other) => (Math.abs(other.line.x[other.place] - x) < Math.abs(one.line.x[one.place] - x) ? other : one));
      const where = nearest.line.x[nearest.place];
      const here = found.filter(({ line, place }) => line.x[place] === where);
      const pixel = this.at.x(where);
      pen.globalAlpha = 0.5;
      pen.beginPath();
      pen.moveTo(pixel, MARGIN.top);
      pen.lineTo(pixel, this.height - MARGIN.bottom);
      pen.stroke();
      pen.globalAlpha = 1;
      for (const { line, place } of here) {
        pen.fillStyle = this.explorer.color(line.rate);
        pen.beginPath();
        pen.arc(pixel, this.at.y(line.shown[place]), 4, 0, 7);
        pen.fill();
      }
      this.list(here, where, pixel, y);
    }

    list(here, where, pixel, y) {
      const { state } = this.explorer;
      const away = ({ line, place }) => Math.abs(this.at.y(line.shown[place]) - y);
      const named = here.length > LISTED && y !== undefined ? [...here].sort((a, b) => away(a) - away(b)).slice(0, LISTED) : here.slice(0, LISTED);
      named.sort((a, b) => b.line.y[b.place] - a.line.y[a.place]);
      const rows = named.map(({ line, place }) => {
        const own = formatValue(state.metric, line.y[place]);
        const smoothed = state.smoothing > 0 ? ` (smoothed ${formatValue(state.metric, line.shown[place])})` : "";
        return make("div", {}, this.explorer.swatch(line.rate), make("span", {}, line.name), make("b", {}, `${own}${smoothed}`));
      });
      if (here.length > named.length) rows.push(make("div", {}, `and ${here.length - named.length} more`));
      const title = `${state.axis} ${trim(where)}`;
      this.readout.replaceChildren(make("p", {}, title), ...rows);
      this.readout.hidden = false;
      const right = pixel < this.width / 2;
      this.readout.style.left = right ? `${pixel + 12}px` : "auto";
      this.readout.style.right = right ? "auto" : `${this.width - pixel + 12}px`;
      this.reading = `${title}: ${named.map(({ line, place }) => `${line.name} ${formatValue(state.metric, line.y[place])}`).join(", ")}`;
    }

    release(x, y) {
      const start = this.start;
      this.start = null;
      if (!start || Math.abs(x - start[0]) < 5) return;
      const [left, right] = [start[0], x].sort((a, b) => a - b).map(this.at.fromX);
      const flat = Math.abs(y - start[1]) < 20; // a stroke along the axis keeps the height
      const [top, bottom] = flat ? [this.view.top, this.view.bottom] : [start[1], y].sort((a, b) => a - b).map(this.at.fromY);
      this.explorer.set({ zoom: { left, right, bottom, top } });
    }

    press(event) {
      const moves = { ArrowLeft: -1, ArrowRight: 1 };
      if (event.key in moves && this.lines.length) {
        const xs = this.lines[0].x;
        this.cursor = Math.min(xs.length - 1, Math.max(0, (this.cursor ?? -1) + moves[event.key] * (event.shiftKey ? 10 : 1)));
        this.point(this.at.x(xs[this.cursor]), undefined);
        this.spoken.textContent = this.reading;
      } else if (event.key === "+" || event.key === "-") this.zoomBy(event.key === "+" ? 0.5 : 2);
      else if (event.key === "Escape" || event.key === "0") this.explorer.set({ zoom: null });
      else return;
      event.preventDefault();
    }

    zoomBy(factor) {
      const { left, right } = this.view;
      const xs = this.lines.length ? this.lines[0].x : [];
      const middle = this.cursor === undefined ? (left + right) / 2 : xs[Math.min(this.cursor, xs.length - 1)];
      const half = (factor * (right - left)) / 2;
      this.explorer.set({ zoom: { ...this.view, left: middle - half, right: middle + half } });
    }
  }

  function findNearest(xs, x) {
    let [low, high] = [0, xs.length - 1];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (xs[middle] < x) low = middle;
      else high = middle;
    }
    return Math.abs(xs[high] - x) < Math.abs(xs[low] - x) ? high : low;
  }

  /* ---- the panel ---- */

  class Explorer {
    constructor(root, id) {
      this.root = root;
      this.id = id;
      this.onchange = [];
      this.runs = new Runs(JSON.parse(root.querySelector("script[type='application/json']").textContent));
      this.state = {
        metric: "val_loss", axis: "epoch", scale: "linear", show: this.runs.seeds.length > 1 ? "mean" : "seeds",
        from: "first", smoothing: 0, rates: new Set(), levels: new Set(), seeds: new Set(), zoom: null,
      };
      this.plot = new Plot(this);
      this.note = make("p", { class: "note" });
      root.querySelector(".panel").append(this.makeControls(), this.plot.box, this.plot.spoken, this.note);
      const table = new RunTable(root.querySelector(".runs"));
      root.append(makeComparison(this.runs, table));
      matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.plot.draw());
      this.set({});
    }

    makeControls() {
      const metrics = Object.entries(METRICS).filter(([name]) => name !== "step_loss" || this.runs.runs.some((run) => run.n_steps));
      const select = make("select", { onchange: (event) => this.set({ metric: event.target.value, zoom: null }) },
        ...metrics.map(([value, { label }]) => make("option", { value }, label)));
      const weight = make("output", {}, "off");
      const slider = make("input", { type: "range", min: 0, max: 0.99, step: 0.01, value: 0, oninput: () => {
        weight.textContent = slider.value === "0" ? "off" : slider.value;
        this.set({ smoothing: Number(slider.value) });
      } });
      this.reset = make("button", { type: "button", onclick: () => this.set({ zoom: null }) }, "Reset zoom");
      return make("div", { class: "controls" },
        make("label", { class: "field" }, "Metric", select),
        makeChoice(this, "Across", "axis", { epoch: "Epochs", step: "Steps" }),
        makeChoice(this, "From", "from", { first: "Epoch 1", untrained: "Untrained" }),
        makeChoice(this, "Scale", "scale", { linear: "Linear", log: "Log" }),
        ...(this.runs.seeds.length > 1 ? [makeChoice(this, "Seeds as", "show", { mean: "Mean and range", seeds: "Lines" })] : []),
        make("label", { class: "field" }, "Smoothing", make("span", { class: "slider" }, slider, weight)),
        this.reset,
        makeToggles(this, "Learning rates", this.runs.rates.map((rate) => rate.name), this.state.rates, (place) => this.swatch(place)),
        ...(this.runs.axis ? [makeToggles(this, this.runs.axis[0].toUpperCase() + this.runs.axis.slice(1), this.runs.levels, this.state.levels, drawDash)] : []),
        makeToggles(this, "Seeds", this.runs.seeds.map(String), this.state.seeds));
    }

    set(change) {
      Object.assign(this.state, change);
      this.reset.disabled = this.state.zoom === null;
      this.onchange.forEach((update) => update());
      this.plot.draw();
    }

    toggle(hidden, place) {
      if (!hidden.delete(place)) hidden.add(place);
      this.set({});
    }

    isolate(hidden, place, n) {
      for (let other = 0; other < n; other += 1) hidden.add(other);
      hidden.delete(place);
      this.set({});
    }

    toggleAll(hidden, n) {
      const show = hidden.size > 0;
      for (let place = 0; place < n; place += 1) show ? hidden.delete(place) : hidden.add(place);
      this.set({});
    }

    dark() {
      const lab = document.body.dataset.jpThemeLight; // JupyterLab's own theme counts there
      return lab ? lab === "false" : matchMedia("(prefers-color-scheme: dark)").matches;
    }

    color(place) {
      return this.runs.rates[place][this.dark() ? "dark" : "light"];
    }

    swatch(place) {
      const { light, dark } = this.runs.rates[place];
      const node = make("span", { class: "swatch" });
      node.style.setProperty("--light", light);
      node.style.setProperty("--dark", dark);
      return node;
    }

    /* Say what is drawn, and how much of what was recorded. */
    describe(plot, domain) {
      const { state, runs } = this;
      const lines = plot.lines.length;
      const what = METRICS[state.metric].label;
      const which = state.show === "mean" ? `${count(lines, runs.axis ? "combination" : "learning rate")}, the mean over seeds with their range` : count(lines, "run");
      const keys = "Left and right arrow keys move the cursor, plus and minus zoom, Escape resets.";
      plot.box.setAttribute("aria-label", `${what} by ${state.axis} for ${which}. ${keys}`);
      if (!domain) {
        this.note.textContent = lines ? "There are no values of this kind." : "Every run is hidden.";
        plot.canvas.getContext("2d").clearRect(0, 0, plot.width, plot.height);
        plot.view = null;
        return;
      }
      const points = count(plot.n_drawn ?? 0, "point");
      const by_step = state.metric === "step_loss";
      const thinned = by_step ? runs.each : runs.every;
      const from = hidesUntrained(state) ? " from epoch 1 on" : "";
      let said = `Every recorded point${from} is drawn: ${points}.`;
      if (thinned > 1) said = `Of ${thinned} ${by_step ? "steps the mean and the range are" : "epochs one is"} drawn: ${points}.`;
      else if (state.show === "mean") said = `The lines are means over seeds, the bands their range: ${points} recorded${from}.`;
      if (domain.cut && !state.zoom) said += ` Losses above ${runs.limit.toFixed(1)} ${runs.loss_unit} are cut off; the log scale shows them.`;
      this.note.textContent = `${said} Drag over the figure to zoom.`;
      this.note.dataset.points = plot.n_drawn ?? 0;
    }
  }

  /* ---- the table of runs ---- */

  class RunTable {
    constructor(box) {
      this.table = box.querySelector("table");
      this.rows = [...this.table.tBodies[0].rows];
      this.heads = [...this.table.tHead.rows[0].cells];
      this.names = this.heads.map((head) => head.textContent.toLowerCase());
      this.heads.forEach((head, place) => {
        const button = make("button", { type: "button", onclick: () => this.sort(place) }, head.textContent);
        head.replaceChildren(button);
      });
      this.found = make("output", { "aria-live": "polite" });
      const filter = make("input", { type: "search", placeholder: "completed, or test accuracy > 87", oninput: () => this.filter(filter.value) });
      box.prepend(make("p", { class: "filter" }, make("label", { class: "field" }, "Filter the runs", filter), this.found));
      this.filter("");
    }

    /* The cells of a run, whatever the rows are sorted by now. */
    readCells(place, names) {
      return Object.fromEntries(names.map((name) => [name, this.rows[place].cells[this.names.indexOf(name)].textContent]));
    }

    static plain(text) {
      return text.toLowerCase().replace(/(\d),(?=\d{3}(?!\d))/g, "$1"); // 1,024 as 1024
    }

    static number(text) {
      const number = parseFloat(text.replace("\u2212", "-").replace(/,/g, ""));
      return /^[\u2212\d]/.test(text) ? number : NaN;
    }

    sort(place) {
      const down = this.heads[place].getAttribute("aria-sort") === "ascending";
      this.heads.forEach((head) => head.removeAttribute("aria-sort"));
      this.heads[place].setAttribute("aria-sort", down ? "descending" : "ascending");
      const keys = new Map(this.rows.map((row) => [row, RunTable.number(row.cells[place].textContent)]));
      const order = [...this.rows].sort((a, b) => {
        const [one, other] = [keys.get(a), keys.get(b)];
        if (Number.isNaN(one) && Number.isNaN(other)) {
          const texts = a.cells[place].textContent.localeCompare(b.cells[place].textContent);
          return down ? -texts : texts;
        }
        if (Number.isNaN(one) || Number.isNaN(other)) return Number.isNaN(one) ? 1 : -1; // what is no number comes last
        return down ? other - one : one - other;
      });
      this.table.tBodies[0].append(...order);
    }

    filter(text) {
      const tests = RunTable.plain(text).split(/\s+and\s+|[,;]/).map((part) => this.read(part.trim()));
      let n = 0;
      for (const row of this.rows) {
        row.hidden = !tests.every((test) => test(row));
        n += row.hidden ? 0 : 1;
      }
      this.found.textContent = `${n} of ${count(this.rows.length, "run")}`;
    }

    read(text) {
      const [, name, sign, limit] = text.match(/^(.*?)\s*(<=|>=|<|>|=)\s*([\d.e\u2212-]+)\s*%?$/) || [];
      const place = this.names.findIndex((own) => own === name || own.startsWith(name));
      if (!sign || place < 0) return (row) => RunTable.plain(row.textContent).includes(text);
      const than = RunTable.number(limit);
      const holds = { "<": (a) => a < than, ">": (a) => a > than, "<=": (a) => a <= than, ">=": (a) => a >= than, "=": (a) => a === than }[sign];
      return (row) => holds(RunTable.number(row.cells[place].textContent));
    }
  }

  /* ---- two runs side by side ---- */

  function makeComparison(runs, table) {
    const options = () => runs.runs.map((run, place) => make("option", { value: place }, runs.name(run)));
    const [first, second] = [0, 1].map(() => make("select", { onchange: () => show() }, ...options()));
    const body = make("div", { class: "table", tabindex: "0", role: "region", "aria-label": "What differs between the two runs" });
    const show = () => body.replaceChildren(...compare(runs, table, first.value, second.value));
    second.value = String(Math.max(0, runs.runs.findIndex((run) => run.record !== runs.runs[0].record)));
    show();
    return make("section", { class: "comparison" }, make("h3", {}, "What differs between two runs"),
      make("p", { class: "filter" }, make("label", { class: "field" }, "This run", first), make("label", { class: "field" }, "and this one", second)), body);
  }

  function compare(runs, rows, ...places) {
    const [one, other] = places.map((place) => runs.runs[place]);
    const [left, right] = places.map((place) => ({ ...rows.readCells(place, runs.names), ...runs.facts[runs.runs[place].record], ...runs.common }));
    const names = [...new Set([...Object.keys(left), ...Object.keys(right)])];
    const differing = names.filter((name) => left[name] !== right[name]);
    const same = names.filter((name) => left[name] === right[name]);
    const cells = (name, values) => make("tr", {}, make("th", { scope: "row", class: "label" }, name), ...values.map((value) => make("td", {}, value ?? "")));
    const table = make("table", {},
      make("thead", {}, make("tr", {}, make("th", { scope: "col", class: "label" }, "Differs"), make("th", { scope: "col" }, runs.name(one)), make("th", { scope: "col" }, runs.name(other)))),
      make("tbody", {}, ...differing.map((name) => cells(name, [left[name], right[name]]))));
    const rest = make("details", {}, make("summary", {}, `${count(same.length, "entry is", "entries are")} the same in both`),
      make("table", {}, make("tbody", {}, ...same.map((name) => cells(name, [left[name]])))));
    return differing.length ? [table, rest] : [make("p", {}, "Nothing: this is one and the same run."), rest];
  }

  /* A notebook may run this before it puts the panel into the page. */
  function start(tries) {
    const found = document.querySelectorAll(".explorer:not([data-ready])");
    found.forEach((root, place) => {
      root.dataset.ready = "";
      new Explorer(root, `${Date.now()}-${place}`);
      root.dataset.ready = Math.round(performance.now());
    });
    if (!found.length && tries) requestAnimationFrame(() => start(tries - 1));
  }
  start(300);
})();
