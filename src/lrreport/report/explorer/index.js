// The panel: its controls, the figure and the table, all of one state.

const LONG = 40; // points of a curve from which on smoothing helps
const SHORT_NAME = 24; // characters of a name on a chip

class Panel {
  constructor(root, number) {
    this.root = root;
    this.id = number ? `explorer-${number + 1}` : "explorer";
    if (!root.id && !document.getElementById(this.id)) root.id = this.id;
    this.study = unpack(JSON.parse(root.querySelector("script[type='application/json']").textContent));
    this.state = this.readLink() || makeState(this.study);
    this.plot = new Plot(this);
    this.table = new RunTable(this, root.querySelector(".runs"));
    this.note = make("p", { class: "x-note" });
    const keys = make("p", { class: "spoken", id: `${this.id}-keys` }, "Arrow keys move the crosshair, with Shift by ten points; Home and End go to the ends; plus and minus zoom; Escape shows all.");
    this.plot.box.setAttribute("aria-describedby", keys.id);
    root.querySelector(".panel").append(this.makeControls(), this.makeChips(), this.plot.box, this.plot.spoken, keys, this.makeActions(), this.note);
    root.append(makeComparison(this, this.table));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.plot.draw());
    new MutationObserver(() => this.plot.draw()).observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-light"] });
    addEventListener("hashchange", () => {
      const state = this.readLink();
      if (state) this.set(state);
    });
    this.set({});
    if (this.linked) root.scrollIntoView();
  }

  // ---- the state ----

  set(change) {
    const before = this.state;
    this.state = { ...before, ...change };
    if (change.metric !== undefined && change.metric !== before.metric) this.adoptMetric(before);
    if (this.state.base >= 0) this.state.log = false;
    const keys = Object.keys(change);
    const only = keys.length === 1 ? keys[0] : "";
    if (keys.includes("metric") || keys.includes("x")) this.plot.cursor = null;
    if (only === "sort") this.table.sort(this.state.sort);
    else if (only === "zoom") this.plot.draw();
    else {
      this.visible = listVisible(this.study, this.state, this.table.find(this.state.filter));
      this.table.show(this.visible);
      this.table.sort(this.state.sort);
      this.plot.update();
    }
    this.refresh();
    this.writeLink();
  }

  // Keep to an axis that the metric has.
  adoptMetric(before) {
    const axes = listAxes(this.study, this.state.metric);
    const forced = !this.study.hasCurves[before.metric].length; // nobody chose its levels
    if (!axes.includes(this.state.x) || (forced && this.state.x === before.x)) [this.state.x] = axes;
    this.state.zoom = null;
  }

  refresh() {
    for (const update of this.updates) update();
    const { plot, state, study } = this;
    const drawn = { runs: this.visible.length, points: plot.n_points };
    const said = describeScene(study, state, plot.scene, plot.domain, drawn);
    plot.empty.hidden = Boolean(plot.domain);
    plot.empty.textContent = plot.domain ? "" : said[0];
    this.note.textContent = plot.domain ? said.join(" ") : "";
    this.note.dataset.points = plot.n_points;
    const lines = state.lines === "runs" ? count(this.visible.length, "run") : count(plot.scene.lines.length, plot.scene.kind === "levels" ? "series" : "level", plot.scene.kind === "levels" ? "series" : "levels");
    plot.box.setAttribute("aria-label", `${plot.title || study.metrics[state.metric].label} by ${decapitalize(plot.scene.x.title)}, ${lines}`);
  }

  // Let the lines of these runs stand out; `outside` where the pointer is not on the figure.
  light(lit, outside = false) {
    const key = lit ? [...lit].join() : "";
    if (key === this.litKey) return;
    this.litKey = key;
    this.plot.lit = lit;
    this.table.light(lit);
    if (outside) this.plot.refreshCover();
  }

  // ---- the link ----

  readLink() {
    const [name, text] = location.hash.slice(1).split("?");
    this.linked = name === this.id && text !== undefined;
    return this.linked ? decodeState(this.study, text) : null;
  }

  writeLink() {
    if (!this.ready || document.body.dataset.jpThemeLight !== undefined) return; // the address of a notebook is not ours
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      const text = encodeState(this.study, this.state);
      const own = location.hash.slice(1).split("?")[0] === this.id;
      if (text || own) history.replaceState(history.state, "", text ? `#${this.id}?${text}` : `#${this.id}`);
    }, 200);
  }

  // ---- controls ----

  makeControls() {
    const { study } = this;
    this.updates = [];
    const metrics = study.metrics.map((metric, i) => [i, metric.label]).filter(([i]) => listAxes(study, i).length);
    const controls = [
      this.makeSelect("Metric", metrics, () => this.state.metric, (value) => ({ metric: Number(value), zoom: null })),
      this.makeAcross(),
    ];
    if (study.seeds.length > 1) {
      const kinds = [["mean", "Mean and 95 % interval"], ["range", "Mean and range"], ["runs", "Each run"]];
      controls.push(this.makeSelect("Runs as", kinds, () => this.state.lines, (lines) => ({ lines, zoom: null })));
    }
    if (study.levels.length > 1) {
      const levels = [[-1, "None"], ...study.levels.map((level, i) => [i, level.name])];
      controls.push(this.makeSelect("Difference from", levels, () => this.state.base, (value) => ({ base: Number(value), zoom: null })));
    }
    if (study.grids.some((grid) => grid.length > LONG)) controls.push(this.makeSmoothing());
    return make("div", { class: "controls" }, ...controls);
  }

  makeSelect(label, options, read, change) {
    const select = make("select", { onchange: () => this.set(change(select.value)) }, ...options.map(([value, text]) => make("option", { value }, text)));
    this.updates.push(() => { select.value = String(read()); });
    return make("label", { class: "field" }, label, select);
  }

  makeAcross() {
    const { study } = this;
    const axes = [...study.axes.map(({ name, label }) => [name, label]), [LEVEL, study.factors[0].label]];
    const radios = axes.map(([value]) => make("input", { type: "radio", name: `${this.id}-across-${Date.now()}`, value, onchange: () => this.set({ x: value, zoom: null }) }));
    this.updates.push(() => {
      const there = listAxes(study, this.state.metric);
      for (const radio of radios) [radio.checked, radio.disabled] = [radio.value === this.state.x, !there.includes(radio.value)];
    });
    return make("fieldset", { class: "choice" }, make("legend", {}, "Across"), ...axes.map(([, label], i) => make("label", {}, radios[i], make("span", {}, label))));
  }

  makeSmoothing() {
    const weight = make("output", {}, "off");
    const slider = make("input", { type: "range", min: 0, max: 0.99, step: 0.01, value: 0, oninput: () => this.set({ smoothing: Number(slider.value) }) });
    const field = make("label", { class: "field" }, "Smoothing", make("span", { class: "slider" }, slider, weight));
    this.updates.push(() => {
      const { scene } = this.plot;
      field.hidden = scene.kind === "levels" || !scene.lines.some((line) => line.x.length > LONG);
      if (field.hidden && this.state.smoothing) this.state.smoothing = 0;
      slider.value = String(this.state.smoothing);
      weight.textContent = this.state.smoothing ? this.state.smoothing.toFixed(2) : "off";
    });
    return field;
  }

  makeChips() {
    const { study } = this;
    const box = make("div", { class: "toggles", role: "toolbar", "aria-label": "Runs shown" });
    study.factors.forEach((factor, i) => box.append(this.makeGroup(factor.label, factor.values, i, (value) => (i ? this.drawDash(value) : this.colorSwatch(value)))));
    if (study.seeds.length > 1) box.append(this.makeGroup("Seed", study.seeds, study.factors.length, null));
    const buttons = [...box.querySelectorAll("button")];
    rove(box, () => buttons);
    return box;
  }

  makeGroup(label, names, group, mark) {
    const hide = (values) => {
      const hidden = [...this.state.hidden];
      hidden[group] = new Set(values);
      this.set({ hidden, zoom: null });
    };
    const all = names.map((_, value) => value);
    const whole = [["All", () => hide([])], ["None", () => hide(all)]].map(([text, onclick]) => make("button", { type: "button", class: "whole", "aria-label": `${text}: ${label}`, onclick }, text));
    const toggles = [];
    const chips = names.map((name, value) => {
      const toggle = make("button", { type: "button", "aria-pressed": "true", onclick: () => {
        const hidden = new Set(this.state.hidden[group]);
        if (!hidden.delete(value)) hidden.add(value);
        hide(hidden);
      } }, ...(mark ? [mark(value)] : []), name.length > SHORT_NAME ? `${name.slice(0, SHORT_NAME - 1)}\u2026` : name);
      if (name.length > SHORT_NAME) toggle.title = name;
      toggles.push(toggle);
      const only = make("button", { type: "button", class: "only", "aria-label": `only ${name}`, onclick: () => hide(all.filter((other) => other !== value)) }, "only");
      return make("span", { class: "chip" }, toggle, only);
    });
    this.updates.push(() => toggles.forEach((toggle, value) => toggle.setAttribute("aria-pressed", String(!this.state.hidden[group].has(value)))));
    return make("div", { class: "group", role: "group", "aria-label": label }, make("span", { class: "x-legend", "aria-hidden": "true" }, label), make("div", { class: "chips", tabindex: "-1" }, ...(names.length > 1 ? whole : []), ...(names.length > 1 ? chips : chips.map((chip) => chip.firstChild))));
  }

  makeActions() {
    const press = (label, key, title) => {
      const button = make("button", { type: "button", "aria-pressed": "false", title, onclick: () => this.set({ [key]: !this.state[key], zoom: null }) }, label);
      this.updates.push(() => button.setAttribute("aria-pressed", String(this.state[key])));
      return button;
    };
    const reset = make("button", { type: "button", onclick: () => this.set({ zoom: null }) }, "Reset zoom");
    const log = press("Log scale", "log", "Logarithmic scale of the values");
    const start = press("From the start", "start", "Include epoch 0, the untrained network");
    this.updates.push(() => {
      reset.disabled = this.state.zoom === null;
      log.disabled = this.state.base >= 0;
      start.hidden = this.plot.scene.kind === "levels" || this.state.metric >= this.study.nFinal || !startsUntrained(this.study, this.state.metric);
      settle();
    });
    const downloads = [["SVG", "svg"], ["PNG", "png"], ["Points, CSV", "points"], ["Runs, CSV", "runs"]].map(([text, kind]) => make("button", { type: "button", "aria-label": `Download: ${text}`, onclick: () => this.download(kind) }, text));
    const box = make("div", { class: "x-actions", role: "toolbar", "aria-label": "Figure" }, reset, log, start, make("span", { class: "x-legend", "aria-hidden": "true" }, "Download"), ...downloads);
    const buttons = [...box.querySelectorAll("button")];
    const refresh = rove(box, () => buttons);
    const settle = () => {
      for (const button of buttons) if (button.disabled || button.hidden) button.tabIndex = -1;
      refresh();
    };
    return box;
  }

  download(kind) {
    const { plot, study, state } = this;
    if (!plot.view && kind !== "runs") return;
    const name = `${study.metrics[state.metric].name}-by-${state.x}`;
    const save = (blob, file) => {
      const link = make("a", { href: URL.createObjectURL(blob), download: file });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    };
    if (kind === "svg") save(new Blob([plot.export("svg")], { type: "image/svg+xml" }), `${name}.svg`);
    if (kind === "png") plot.export("png").toBlob((blob) => save(blob, `${name}.png`));
    if (kind === "points") save(new Blob([writeCsv(listPointRows(study, state, plot.scene))], { type: "text/csv" }), `${name}.csv`);
    if (kind === "runs") save(new Blob([writeCsv(this.table.listRows())], { type: "text/csv" }), "runs.csv");
  }

  // ---- colours ----

  dark() {
    const lab = document.body.dataset.jpThemeLight; // JupyterLab's own theme counts there
    return lab === undefined ? matchMedia("(prefers-color-scheme: dark)").matches : lab === "false";
  }

  color(level) {
    return this.study.colors[level < 0 ? 0 : this.study.levels[level].values[0]][this.plot.look.dark ? 1 : 0];
  }

  swatch(level) { return this.colorSwatch(this.study.levels[Math.max(0, level)].values[0]); }

  colorSwatch(value) {
    const node = make("span", { class: "swatch" });
    node.style.setProperty("--light", this.study.colors[value][0]);
    node.style.setProperty("--dark", this.study.colors[value][1]);
    return node;
  }

  drawDash(value) {
    const [svg, line] = ["svg", "line"].map((tag) => document.createElementNS("http://www.w3.org/2000/svg", tag));
    for (const [name, text] of Object.entries({ width: 30, height: 6, "aria-hidden": "true" })) svg.setAttribute(name, text);
    for (const [name, text] of Object.entries({ x2: 30, y1: 3, y2: 3, stroke: "currentColor", "stroke-width": 2, "stroke-dasharray": DASHES[value % DASHES.length].join(" ") })) line.setAttribute(name, text);
    svg.append(line);
    return svg;
  }
}

// A notebook may run this before it puts the panel into the page.
function start(tries) {
  const found = [...document.querySelectorAll(".explorer:not([data-ready])")].filter((root) => root.querySelector("script[type='application/json']"));
  for (const root of found) {
    const began = performance.now();
    root.dataset.ready = "";
    const panel = new Panel(root, document.querySelectorAll(".explorer[data-took]").length);
    panel.ready = true;
    root.dataset.took = Math.round(performance.now() - began);
    root.dataset.ready = Math.round(performance.now());
  }
  if (!found.length && tries) requestAnimationFrame(() => start(tries - 1));
}
start(300);
