// The table of runs: sorted, filtered and linked with the figure; and what differs between two runs.

// One tab stop for all controls that `list` returns; arrow keys move among them, only those along a row if `flat`.
function rove(container, list, flat = false) {
  const enabled = () => list().filter((node) => !node.disabled && !node.hidden && !node.closest("[hidden]"));
  const settle = (node) => {
    for (const other of list()) other.tabIndex = other === node ? 0 : -1;
  };
  const refresh = () => {
    const nodes = enabled();
    if (nodes.length && !nodes.some((node) => node.tabIndex === 0)) settle(nodes[0]);
  };
  container.addEventListener("focusin", (event) => {
    if (list().includes(event.target)) settle(event.target);
  });
  container.addEventListener("keydown", (event) => {
    const nodes = enabled();
    const now = nodes.indexOf(document.activeElement);
    if (now < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
    const next = { ArrowRight: now + 1, ArrowLeft: now - 1, Home: 0, End: nodes.length - 1, ...(flat ? {} : { ArrowDown: now + 1, ArrowUp: now - 1 }) }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    nodes[(next + nodes.length) % nodes.length].focus();
  });
  for (const node of list()) node.tabIndex = -1;
  refresh();
  return refresh;
}

class RunTable {
  constructor(panel, box) {
    this.panel = panel;
    this.table = box.querySelector("table");
    this.rows = [...this.table.tBodies[0].rows];
    this.heads = [...this.table.tHead.rows[0].cells];
    const same = [...box.querySelectorAll(".same b")].map((name) => [name.textContent, name.nextSibling ? name.nextSibling.textContent.trim() : ""]);
    this.columns = [...this.heads.map((head) => head.firstChild.textContent), ...same.map(([name]) => name)];
    this.metrics = this.heads.map((head) => head.dataset.metric);
    const units = this.heads.map((head) => (head.dataset.unit ? ` ${head.dataset.unit}` : ""));
    const read = (cell, column) => (cell.textContent === "\u2013" ? cell.textContent : cell.textContent + units[column]);
    this.cells = this.rows.map((row) => [...Array.from(row.cells, read), ...same.map(([, text]) => text)]);
    this.preferred = this.metrics.indexOf(panel.study.metrics[panel.study.decides].name);
    this.scroller = box.querySelector(".x-table");
    this.prepare();
    this.makeFilter(box);
  }

  prepare() {
    const { panel } = this;
    this.heads.forEach((head, column) => {
      const button = make("button", { type: "button", onclick: () => this.turn(column) }, ...head.childNodes);
      head.replaceChildren(button);
    });
    this.buttons = this.heads.map((head) => head.firstChild);
    this.scroller.tabIndex = -1; // its headings take the focus instead
    rove(this.table.tHead, () => this.buttons, true);
    const places = new Map(this.rows.map((row, i) => [row, i]));
    this.rows.forEach((row, i) => {
      row.tabIndex = -1;
      row.cells[0].prepend(panel.swatch(panel.study.runs[i].level));
    });
    const body = this.table.tBodies[0];
    const find = (event) => places.get(event.target.closest("tr"));
    body.addEventListener("pointerover", (event) => this.over(find(event)));
    body.addEventListener("pointerleave", () => this.over(undefined));
    body.addEventListener("focusin", (event) => this.over(find(event)));
    body.addEventListener("focusout", () => this.over(undefined));
    this.table.addEventListener("keydown", (event) => this.walk(event));
  }

  over(row) {
    this.panel.light(row === undefined || this.rows[row].hidden ? null : new Set([row]), true);
  }

  // From the headings down into the rows and back up, each row lit as it takes the focus.
  walk(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    const shown = [...this.table.tBodies[0].rows].filter((row) => !row.hidden);
    const row = document.activeElement.closest("tbody tr");
    if (row) {
      const next = shown.indexOf(row) + step;
      (next < 0 ? this.buttons.find((button) => button.tabIndex === 0) : shown[Math.min(next, shown.length - 1)]).focus();
    } else if (step > 0 && shown.length) shown[0].focus();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  makeFilter(box) {
    const { panel } = this;
    const example = suggestFilter(this.columns, this.cells, this.preferred, panel.study.metrics[panel.study.decides].better);
    this.output = make("output", { "aria-live": "polite" });
    this.problem = make("span", { class: "problem", id: `${panel.id}-problem` });
    this.input = make("input", { type: "search", placeholder: example, autocomplete: "off", spellcheck: "false", "aria-describedby": `${panel.id}-problem`, oninput: () => panel.set({ filter: this.input.value, zoom: null }) });
    box.prepend(make("p", { class: "filter" }, make("label", { class: "field" }, "Filter the runs, in table and figure", this.input), this.output, this.problem));
  }

  // Return the indices of the runs that the filter finds, null for all.
  find(text) {
    if (this.input.value !== text) this.input.value = text;
    const filter = parseFilter(text.trim(), this.columns, this.preferred);
    const notes = [...filter.problems];
    if (filter.readings.length) notes.push(`Read as ${listWords([...new Set(filter.readings)])}.`);
    this.problem.textContent = text.trim() ? notes.join(" ") : "";
    this.problem.classList.toggle("bad", filter.problems.length > 0);
    if (filter.empty) return null;
    return new Set(this.cells.flatMap((cells, i) => (filter.matches(cells) ? [i] : [])));
  }

  show(visible) {
    const shown = new Set(visible.map((run) => run.index));
    this.rows.forEach((row, i) => {
      if (row.hidden === shown.has(i)) row.hidden = !shown.has(i);
    });
    this.output.textContent = `${group(String(shown.size))} of ${count(this.rows.length, "run")}`;
  }

  turn(column) {
    const { sort } = this.panel.state;
    this.panel.set({ sort: { column, descending: Boolean(sort) && sort.column === column && !sort.descending } });
  }

  sort(sort) {
    const key = JSON.stringify(sort);
    if (key === this.sorted || (sort && sort.column >= this.heads.length)) return;
    if (sort || this.sorted) {
      this.heads.forEach((head) => head.removeAttribute("aria-sort"));
      if (sort) this.heads[sort.column].setAttribute("aria-sort", sort.descending ? "descending" : "ascending");
      const order = sort ? sortRows(this.cells, sort.column, sort.descending) : this.rows.map((_, i) => i);
      this.table.tBodies[0].append(...order.map((i) => this.rows[i]));
    }
    this.sorted = key;
  }

  light(lit) {
    for (const row of this.lit || []) this.rows[row].classList.remove("lit");
    this.lit = lit ? [...lit] : [];
    for (const row of this.lit) this.rows[row].classList.add("lit");
  }

  // Rows for a download: those in sight in their order, metrics as recorded rather than as shown.
  listRows() {
    const { study } = this.panel;
    const metrics = this.metrics.map((name) => study.metrics.findIndex((metric) => metric.name === name));
    const places = new Map(this.rows.map((row, i) => [row, i]));
    const shown = [...this.table.tBodies[0].rows].filter((row) => !row.hidden).map((row) => places.get(row));
    const read = (i, column) => (metrics[column] >= 0 ? getFinal(study, study.runs[i], metrics[column]) : plainCell(this.cells[i][column]));
    return [this.columns.map((name, column) => (metrics[column] >= 0 ? this.metrics[column] : decapitalize(name))), ...shown.map((i) => this.columns.map((_, column) => read(i, column)))];
  }
}

// A cell without the separators of thousands, empty where it is a dash.
const plainCell = (text) => (text === "\u2013" ? "" : /^[\u2212-]?\d[\d,]*(\.\d+)?(e[-+]?\d+)?$/.test(text) ? text.replace(/,/g, "").replace("\u2212", "-") : text);

// What differs between two runs, filled when it is first opened.
function makeComparison(panel, table) {
  const { study } = panel;
  const [first, second] = [0, 1].map(() => make("select", { onchange: () => show() }));
  const body = make("div", { class: "x-table", role: "region", "aria-label": "What differs between the two runs", tabindex: "-1" });
  const show = () => body.replaceChildren(...compareRuns(study, table, Number(first.value), Number(second.value)));
  const box = make("details", { class: "comparison" }, make("summary", {}, "What differs between two runs"),
    make("p", { class: "filter" }, make("label", { class: "field" }, "This run", first), make("label", { class: "field" }, "and this one", second)), body);
  box.addEventListener("toggle", () => {
    if (!box.open || first.options.length) return;
    for (const select of [first, second]) select.append(...study.runs.map((run) => make("option", { value: run.index }, nameRun(study, run))));
    second.value = String(Math.max(0, study.runs.findIndex((run) => run.level !== study.runs[0].level)));
    show();
  });
  return box;
}

function compareRuns(study, table, ...places) {
  const lower = (name) => name.toLowerCase();
  const describe = (i) => ({ ...study.common, ...study.facts[i], ...Object.fromEntries(table.columns.map((name, column) => [lower(name), table.cells[i][column]])) });
  const [left, right] = places.map(describe);
  const names = [...new Set([...Object.keys(left), ...Object.keys(right)])];
  const labels = new Map(table.columns.map((name) => [lower(name), name]));
  const row = (name, values) => make("tr", {}, make("th", { scope: "row", class: "label" }, labels.get(name) || capitalize(name)), ...values.map((value) => make("td", {}, value ?? "\u2013")));
  const [differing, same] = [true, false].map((wanted) => names.filter((name) => (left[name] !== right[name]) === wanted));
  const rest = make("details", {}, make("summary", {}, `${count(same.length, "entry is", "entries are")} the same in both`), make("table", {}, make("tbody", {}, ...same.map((name) => row(name, [left[name]])))));
  if (!differing.length) return [make("p", {}, "Nothing differs."), rest];
  const heads = [make("th", { scope: "col", class: "label" }, "Differs"), ...places.map((i) => make("th", { scope: "col" }, nameRun(study, study.runs[i])))];
  return [make("table", {}, make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...differing.map((name) => row(name, [left[name], right[name]])))), rest];
}
