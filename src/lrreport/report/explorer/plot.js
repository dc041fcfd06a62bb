// The figure: canvases for the axes, the lines and the crosshair, one above the other, and all gestures on the last.

const DASHES = [[], [7, 4], [2, 3], [12, 4, 2, 4], [16, 3], [4, 2], [12, 4, 2, 4, 2, 4], [1, 5], [9, 9], [16, 3, 6, 3], [3, 8], [6, 2, 1, 2]];
const NAMED = 10; // lines that the readout names; half of them in a narrow figure
const NARROW = 480; // pixels
const SPOKEN = 6; // lines that are read aloud
const FEW_POINTS = 40; // of a line in view: each gets a dot
const LIGHT_WORK = 6000; // points in view up to which lines are wider than a pixel, which costs 10 times as much
const HEAVY_WORK = 25000; // points in view from which on lines are drawn pixel by pixel
const NEAR = 28; // pixels from the pointer within which a line lights up
const SLIP = 5; // pixels that a click or a tap may move

function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== false && value !== null) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children);
  return node;
}

// Draws on a canvas; SvgPen writes the same as SVG. Pixels are [x, y, x, y, …], NaN where a line has a gap.
class CanvasPen {
  constructor(context) { this.context = context; }

  style({ color, width = 1, alpha = 1, dash = [] }) {
    const { context } = this;
    [context.strokeStyle, context.fillStyle, context.lineWidth, context.globalAlpha] = [color, color, width, alpha];
    context.setLineDash(dash);
  }

  line(pixels, style) {
    const { context } = this;
    this.style(style);
    context.beginPath();
    let inside = false;
    for (let i = 0; i < pixels.length; i += 2) {
      const [x, y] = [pixels[i], pixels[i + 1]];
      if (y !== y) inside = false;
      else if (inside) context.lineTo(x, y);
      else {
        context.moveTo(x, y);
        inside = true;
      }
    }
    context.stroke();
  }

  area(pixels, style) {
    this.style(style);
    this.context.beginPath();
    for (let i = 0; i < pixels.length; i += 2) this.context.lineTo(pixels[i], pixels[i + 1]);
    this.context.fill();
  }

  disc(x, y, radius, style, hollow = false) {
    this.style(style);
    this.context.beginPath();
    this.context.arc(x, y, radius, 0, 7);
    if (hollow) this.context.stroke();
    else this.context.fill();
  }

  text(text, x, y, { color, align = "left", size = 12, font, bold = false }) {
    const { context } = this;
    this.style({ color });
    context.font = `${bold ? "600 " : ""}${size}px ${font}`;
    [context.textAlign, context.textBaseline] = [align, "alphabetic"];
    context.fillText(text, x, y);
  }

  clip(x, y, width, height) {
    this.context.save();
    this.context.beginPath();
    this.context.rect(x, y, width, height);
    this.context.clip();
  }

  unclip() { this.context.restore(); }
}

class SvgPen {
  constructor() {
    this.parts = [];
    this.n = 0;
  }

  attributes({ color, width = 1, alpha = 1, dash = [] }, filled) {
    const paint = filled ? `fill="${color}"` : `fill="none" stroke="${color}" stroke-width="${width}" stroke-linejoin="round"`;
    return `${paint}${alpha < 1 ? ` opacity="${alpha}"` : ""}${dash.length ? ` stroke-dasharray="${dash.join(" ")}"` : ""}`;
  }

  trace(pixels) {
    let [text, inside] = ["", false];
    for (let i = 0; i < pixels.length; i += 2) {
      if (Number.isNaN(pixels[i + 1])) inside = false;
      else {
        text += `${inside ? "L" : "M"}${pixels[i].toFixed(1)} ${pixels[i + 1].toFixed(1)}`;
        inside = true;
      }
    }
    return text;
  }

  line(pixels, style) {
    const path = this.trace(pixels);
    if (path) this.parts.push(`<path d="${path}" ${this.attributes(style)}/>`);
  }

  area(pixels, style) {
    const path = this.trace(pixels);
    if (path) this.parts.push(`<path d="${path}Z" ${this.attributes(style, true)}/>`);
  }

  disc(x, y, radius, style, hollow = false) {
    this.parts.push(`<circle cx="${x.toFixed(1)}" cy="${y.toFixed(1)}" r="${radius}" ${this.attributes(style, !hollow)}/>`);
  }

  text(text, x, y, { color, align = "left", size = 12, font, bold = false }) {
    const anchor = { left: "start", center: "middle", right: "end" }[align];
    const escaped = text.replace(/&/g, "&amp;").replace(/</g, "&lt;");
    this.parts.push(`<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" fill="${color}" font-size="${size}" font-family="${font.replace(/"/g, "'")}" text-anchor="${anchor}"${bold ? ' font-weight="600"' : ""}>${escaped}</text>`);
  }

  clip(x, y, width, height) {
    this.n += 1;
    this.parts.push(`<clipPath id="clip${this.n}"><rect x="${x}" y="${y}" width="${width}" height="${height}"/></clipPath><g clip-path="url(#clip${this.n})">`);
  }

  unclip() { this.parts.push("</g>"); }

  finish(width, height, paper, title) {
    return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}"><title>${title.replace(/&/g, "&amp;").replace(/</g, "&lt;")}</title><rect width="${width}" height="${height}" fill="${paper}"/>${this.parts.join("")}</svg>\n`;
  }
}

class Plot {
  constructor(panel) {
    this.panel = panel;
    [this.back, this.canvas, this.cover] = ["back", "lines", "cover"].map((name) => make("canvas", { class: name, "aria-hidden": "true" }));
    this.readout = make("div", { class: "readout", hidden: true });
    this.spoken = make("p", { class: "spoken", "aria-live": "polite" });
    this.empty = make("p", { class: "empty", hidden: true });
    this.box = make("div", { class: "plot", role: "application", tabindex: "0", "aria-roledescription": "interactive figure" }, this.back, this.canvas, this.cover, this.empty, this.readout);
    this.pointers = new Map();
    this.cursor = null; // where the crosshair stands: {x, y}, y in pixels or undefined
    this.lit = null; // indices of runs whose lines stand out
    this.listen();
    new ResizeObserver(() => {
      if (this.box.clientWidth !== this.width || this.box.clientHeight !== this.height) this.draw();
    }).observe(this.box);
  }

  get state() { return this.panel.state; }

  get metric() { return this.panel.study.metrics[this.state.metric]; }

  // ---- drawing ----

  readLook() {
    const [style, dark] = [getComputedStyle(this.box), this.panel.dark()];
    return { ink: style.color, dark, paper: dark ? "#14171c" : "#ffffff", font: style.fontFamily, size: Math.max(11, 0.857 * parseFloat(style.fontSize)) };
  }

  measure() {
    const ratio = window.devicePixelRatio || 1;
    [this.width, this.height] = [this.box.clientWidth, this.box.clientHeight];
    for (const canvas of [this.back, this.canvas, this.cover]) {
      const [wide, tall] = [Math.round(this.width * ratio), Math.round(this.height * ratio)];
      if (canvas.width !== wide || canvas.height !== tall) [canvas.width, canvas.height] = [wide, tall];
      const context = canvas.getContext("2d");
      context.setTransform(ratio, 0, 0, ratio, 0, 0);
      context.clearRect(0, 0, this.width, this.height);
    }
  }

  // Compute the scene anew and draw it; the view is the zoom, or all there is.
  update() {
    const { study } = this.panel;
    this.scene = makeScene(study, this.state, this.panel.visible);
    this.domain = findDomain(this.scene, this.state, this.metric);
    this.xs = null;
    this.draw();
  }

  draw() {
    if (!this.scene) return;
    this.measure();
    const drawable = this.domain && this.width > 60;
    this.view = drawable ? this.state.zoom || this.domain : null;
    this.n_points = 0;
    if (drawable) {
      this.look = this.readLook();
      const pen = new CanvasPen(this.canvas.getContext("2d"));
      this.layout(this.width, this.height, (text) => {
        pen.context.font = `${this.look.size}px ${this.look.font}`;
        return pen.context.measureText(text).width;
      });
      this.drawAxes(new CanvasPen(this.back.getContext("2d")));
      this.drawLines(pen);
    }
    this.refreshCover();
  }

  logs() { return { x: this.scene.x.log, y: this.state.log }; }

  // Find ticks, margins and scales for a figure of this size.
  layout(width, height, measureText) {
    const { left, right, bottom, top } = this.view;
    const { size } = this.look;
    const logs = this.logs();
    const isDifference = this.state.base >= 0;
    const most = Math.max(2, Math.floor((height - 70) / (3.6 * size)));
    const up = logs.y ? listLogTicks(bottom, top, most) : listTicks(bottom, top, Math.min(7, most));
    const upLabels = formatTicks(up, { scale: this.metric.scale, log: logs.y });
    const margin = { left: Math.max(...upLabels.map(measureText), 12) + 14, right: 16, top: 2 * size + 8, bottom: 3.4 * size + 6 };
    const [wide, tall] = [width - margin.left - margin.right, height - margin.top - margin.bottom];
    const [x0, x1] = [bend(logs.x, left), bend(logs.x, right)];
    const [y0, y1] = [bend(logs.y, bottom), bend(logs.y, top)];
    const [xScale, yScale] = [wide / (x1 - x0), tall / (y1 - y0)];
    this.area = { x: margin.left, y: margin.top, width: wide, height: tall };
    this.size = { width, height };
    this.at = {
      x: logs.x ? (x) => margin.left + (Math.log10(x) - x0) * xScale : (x) => margin.left + (x - x0) * xScale,
      y: logs.y ? (y) => (y > 0 ? margin.top + tall - (Math.log10(y) - y0) * yScale : NaN) : (y) => margin.top + tall - (y - y0) * yScale,
      fromX: (pixel) => unbend(logs.x, x0 + (pixel - margin.left) / xScale),
      fromY: (pixel) => unbend(logs.y, y0 + (margin.top + tall - pixel) / yScale),
    };
    this.ticks = { up: up.map((tick, i) => [tick, upLabels[i]]), across: this.listAcross(wide, measureText, logs.x) };
    const unit = isDifference ? (this.metric.scale === "fraction" ? "points" : this.metric.unit) : this.metric.scale === "fraction" ? "%" : this.metric.unit;
    this.title = `${this.metric.label}${isDifference ? `, difference from ${this.panel.study.levels[this.state.base].name}` : ""}${unit ? ` (${unit})` : ""}`;
    this.shortTitle = this.title;
    while (this.shortTitle.length > 4 && 1.1 * measureText(this.shortTitle) > width - 4) this.shortTitle = `${this.shortTitle.slice(0, -2)}\u2026`;
  }

  listAcross(wide, measureText, log) {
    const { left, right } = this.view;
    if (!this.scene.x.places) {
      const whole = this.state.x !== "seconds" ? 1 : 0;
      let most = Math.max(2, Math.floor(wide / 70));
      for (;;) {
        const ticks = listTicks(left, right, most, right - left > 2 ? whole : 0);
        const labels = formatTicks(ticks);
        if (most <= 1 || Math.max(0, ...labels.map(measureText)) + 14 < wide / Math.max(1, ticks.length - 1)) return ticks.map((tick, i) => [tick, labels[i]]);
        most -= 1;
      }
    }
    const taken = [];
    let end = -Infinity;
    const places = this.scene.x.places.filter(({ at }) => at >= left && at <= right).sort((a, b) => a.at - b.at);
    for (const { at, label } of places) {
      const short = label.length > 16 ? `${label.slice(0, 15)}\u2026` : label;
      const [half, pixel] = [measureText(short) / 2, this.at.x(at)];
      if (pixel - half > end + 8) {
        taken.push([at, short]);
        end = pixel + half;
      } else taken.push([at, ""]);
    }
    return taken;
  }

  drawLines(pen) {
    const { x, y, width, height } = this.area;
    pen.clip(x - 4, y - 1, width + 8, height + 2);
    if (this.scene.kind === "levels") this.drawLevels(pen);
    else this.drawCurves(pen);
    pen.unclip();
  }

  drawAxes(pen) {
    const { ink, font, size } = this.look;
    const { x, y, width, height } = this.area;
    const floor = y + height;
    for (const [tick, label] of this.ticks.up) {
      const pixel = this.at.y(tick);
      pen.line([x, pixel, x + width, pixel], { color: ink, alpha: 0.14 });
      pen.text(label, x - 7, pixel + 0.35 * size, { color: ink, align: "right", font, size });
    }
    for (const [tick, label] of this.ticks.across) {
      const pixel = this.at.x(tick);
      pen.line([pixel, floor, pixel, floor + 4], { color: ink, alpha: 0.6 });
      const half = 0.3 * size * label.length;
      pen.text(label, Math.min(Math.max(pixel, half), this.size.width - half), floor + 6 + size, { color: ink, align: "center", font, size });
    }
    pen.line([x, floor, x + width, floor], { color: ink, alpha: 0.6 });
    if (this.state.base >= 0) {
      const zero = this.at.y(0);
      if (zero > y && zero < floor) pen.line([x, zero, x + width, zero], { color: ink, alpha: 0.8 });
      const margin = this.state.metric === this.panel.study.decides ? this.panel.study.margin : null;
      if (margin) pen.area(this.box4(x, this.at.y(margin), x + width, this.at.y(-margin)), { color: ink, alpha: 0.07 });
    }
    pen.text(this.shortTitle, 2, size + 2, { color: ink, font, size, bold: true });
    pen.text(this.scene.x.title, x + width, floor + 2.6 * size + 6, { color: ink, align: "right", font, size, bold: true });
  }

  box4(left, top, right, bottom) {
    const { y, height } = this.area;
    const [high, low] = [Math.max(y, top), Math.min(y + height, bottom)];
    return low > high ? [left, high, right, high, right, low, left, low] : [];
  }

  trace(xs, ys) { return tracePixels(xs, ys, this.at.x, this.at.y, this.view, Math.ceil(this.area.width)); }

  drawCurves(pen) {
    const { lines } = this.scene;
    const inView = lines.map((line) => countBelow(line.x, this.view.right) - countBelow(line.x, this.view.left));
    this.n_points = this.state.lines === "runs" ? lines.reduce((sum, line) => sum + line.x.length, 0) : lines.reduce((sum, line) => sum + line.n.reduce((a, b) => a + b, 0), 0);
    const work = inView.reduce((a, b) => a + b, 0);
    const thin = 1 / (window.devicePixelRatio || 1);
    this.lineWidth = work <= LIGHT_WORK ? 1.75 : thin;
    const dots = Math.max(...inView) <= FEW_POINTS && work <= 2 * LIGHT_WORK;
    const smoothed = this.state.smoothing > 0;
    if (lines.length <= MOST_BANDS) for (const line of lines) this.drawBand(pen, line);
    const raster = work > HEAVY_WORK && pen.context === this.canvas.getContext("2d");
    if (raster) this.rasterLines(lines, smoothed);
    for (const line of raster ? [] : lines) {
      const style = { color: this.panel.color(line.level), width: this.lineWidth, dash: this.dash(line) };
      if (smoothed) pen.line(this.trace(line.x, line.y), { ...style, width: Math.min(1, this.lineWidth), alpha: 0.22, dash: [] });
      pen.line(this.trace(line.x, line.shown), smoothed ? { ...style, width: Math.max(this.lineWidth, 1.5 * thin) } : style);
      if (dots) this.drawDots(pen, line, style.color);
    }
    for (const line of lines) for (const end of line.breaks) this.drawCross(pen, this.at.x(end.x), this.at.y(end.y), this.panel.color(line.level));
  }

  dash(line) {
    const second = line.second ?? this.panel.study.levels[line.level]?.values[1];
    return second === undefined || second === null ? [] : DASHES[second % DASHES.length];
  }

  drawBand(pen, line) {
    if (!line.low) return;
    const { y, height } = this.area;
    const toY = (value) => {
      const pixel = this.at.y(value);
      return pixel === pixel ? Math.min(Math.max(pixel, y - 9), y + height + 9) : value <= 0 ? y + height + 9 : NaN;
    };
    const style = { color: this.panel.color(line.level), alpha: this.scene.lines.length > 12 ? 0.09 : 0.15 };
    for (const pixels of traceBand(line, this.at.x, toY, this.view, Math.ceil(this.area.width))) pen.area(pixels, style);
  }

  // Draw very many points pixel by pixel, which is faster than a canvas strokes them; faint below their smoothed lines.
  rasterLines(lines, smoothed) {
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [this.canvas.width, this.canvas.height];
    const [left, right, top, bottom] = [this.area.x, this.area.x + this.area.width, this.area.y, this.area.y + this.area.height].map((edge) => Math.round(edge * ratio));
    const context = this.canvas.getContext("2d");
    for (const [key, alpha, thick] of smoothed ? [["y", 0.22, 1], ["shown", 1, 1.5 * ratio]] : [["y", 1, Math.max(1, Math.round(ratio))]]) {
      const layer = make("canvas", { width, height });
      const own = layer.getContext("2d");
      const image = own.createImageData(width, height);
      const data = new Uint32Array(image.data.buffer);
      for (const line of lines) {
        const pixels = this.trace(line.x, line[key]);
        for (let i = 0; i < pixels.length; i += 1) pixels[i] *= ratio;
        rasterLine(data, width, height, pixels, packColor(this.panel.color(line.level)), thick, { left, right, top, bottom });
      }
      own.putImageData(image, 0, 0);
      context.save();
      context.setTransform(1, 0, 0, 1, 0, 0);
      context.globalAlpha = alpha;
      context.drawImage(layer, 0, 0);
      context.restore();
    }
  }

  drawDots(pen, line, color) {
    for (let i = 0; i < line.x.length; i += 1) {
      const [x, y] = [this.at.x(line.x[i]), this.at.y(line.shown[i])];
      if (Number.isFinite(y)) pen.disc(x, y, 2.4, { color });
    }
  }

  // A cross where a run broke, moved to the edge where that lies outside in height.
  drawCross(pen, x, height, color) {
    const { area } = this;
    const y = Math.min(Math.max(Number.isNaN(height) ? area.y : height, area.y + 6), area.y + area.height - 6);
    for (const side of [-1, 1]) pen.line([x - 5, y - 5 * side, x + 5, y + 5 * side], { color: this.look.paper, width: 4.5, alpha: 0.85 });
    for (const side of [-1, 1]) pen.line([x - 5, y - 5 * side, x + 5, y + 5 * side], { color, width: 2 });
  }

  // Pixels by which the series of a second factor stand beside each other.
  offset(line) {
    const n = this.scene.lines.length;
    const room = Math.min(11, (0.6 * this.area.width) / Math.max(1, this.scene.x.places.length) / n);
    return line ? (this.scene.lines.indexOf(line) - (n - 1) / 2) * room : 0;
  }

  drawLevels(pen) {
    const { study } = this.panel;
    const { ink, font, size } = this.look;
    this.n_points = this.scene.points.length;
    const radius = this.scene.points.length > 300 ? 2 : 3.2;
    for (const line of this.scene.lines) {
      const offset = this.offset(line);
      const single = this.state.lines === "runs";
      const own = this.scene.points.filter((point) => line.second === undefined || !study.factors[1] || point.run.values[1] === line.second);
      if (single && study.paired) this.drawSeeds(pen, own, offset);
      const middle = Float32Array.from({ length: 2 * line.x.length }, (_, i) => (i % 2 ? this.at.y(line.y[i >> 1]) : this.at.x(line.x[i >> 1]) + offset));
      if (!this.scene.x.named && !single) pen.line(middle, { color: ink, alpha: 0.55, width: 1.25, dash: DASHES[(line.second || 0) % DASHES.length] });
      for (const point of own) pen.disc(this.at.x(point.x) + offset + 7, this.at.y(point.y), radius, { color: this.panel.color(point.level), width: 1.25, alpha: 0.85 }, true);
      for (let i = 0; i < line.x.length && !single; i += 1) {
        const [x, color] = [this.at.x(line.x[i]) + offset, this.panel.color(line.levels[i])];
        if (Number.isFinite(line.low[i])) pen.line([x, this.at.y(line.low[i]), x, this.at.y(line.high[i])], { color, width: 2.5 });
        pen.disc(x, this.at.y(line.y[i]), 4.5, { color });
      }
    }
    const floor = this.area.y + this.area.height;
    for (const [at, runs] of this.scene.failures) {
      const x = this.at.x(at);
      this.drawCross(pen, x, floor - 7, this.panel.color(runs[0].level));
      if (runs.length > 1) pen.text(`${runs.length}`, x + 9, floor - 4, { color: ink, font, size });
    }
  }

  // Join the points of each seed across levels.
  drawSeeds(pen, points, offset) {
    const of_seed = new Map();
    for (const point of points) of_seed.set(point.run.seed, [...(of_seed.get(point.run.seed) || []), point]);
    for (const own of of_seed.values()) {
      own.sort((a, b) => a.x - b.x);
      pen.line(own.flatMap((point) => [this.at.x(point.x) + offset + 7, this.at.y(point.y)]), { color: this.look.ink, alpha: 0.3 });
    }
  }

  // The names of the lines with their colours, for downloads.
  drawLegend(pen, top, measureText) {
    const { ink, font, size } = this.look;
    const { study } = this.panel;
    const levels = [...new Set(this.panel.visible.map((run) => run.level))].filter((level) => level !== this.state.base);
    let [x, y] = [8, top];
    for (const level of levels.slice(0, 40)) {
      const name = level === levels[39] ? "\u2026" : study.levels[level].name;
      const wide = measureText(name) + 48;
      if (x + wide > this.size.width && x > 8) [x, y] = [8, y + 1.7 * size];
      pen.line([x, y - 4, x + 24, y - 4], { color: this.panel.color(level), width: 2.5, dash: this.dash({ level }) });
      pen.text(name, x + 30, y, { color: ink, font, size });
      x += wide;
    }
    return y + size;
  }

  // Return the figure as SVG, or drawn on a canvas of twice the size.
  export(kind) {
    const [width, height] = [Math.max(640, this.width), Math.max(360, this.height)];
    const canvas = make("canvas");
    const context = canvas.getContext("2d");
    const measureText = (text) => {
      context.font = `${this.look.size}px ${this.look.font}`;
      return context.measureText(text).width;
    };
    const size = 1.7 * this.look.size;
    const draw = (pen) => {
      this.layout(width, height, measureText);
      this.drawAxes(pen);
      this.drawLines(pen);
      return Math.ceil(this.drawLegend(pen, height + size, measureText) + 4);
    };
    const svg = new SvgPen();
    const tall = draw(svg);
    const name = `${this.panel.study.title}: ${this.title}`;
    if (kind === "svg") {
      this.draw();
      return svg.finish(width, tall, this.look.paper, name);
    }
    [canvas.width, canvas.height] = [2 * width, 2 * tall];
    context.scale(2, 2);
    context.fillStyle = this.look.paper;
    context.fillRect(0, 0, width, tall);
    draw(new CanvasPen(context));
    this.draw();
    return canvas;
  }

  // ---- what lies above: lit lines, the crosshair, the rectangle being drawn ----

  refreshCover() {
    const context = this.cover.getContext("2d");
    context.clearRect(0, 0, this.width, this.height);
    const lit = this.view && this.lit && this.lit.size ? this.lit : null;
    this.box.classList.toggle("dimmed", Boolean(lit) && this.scene.kind === "curves");
    if (!this.view) {
      this.readout.hidden = true;
      return;
    }
    const pen = new CanvasPen(context);
    if (lit) this.drawLit(pen, lit);
    if (this.drag) this.drawDrag(pen);
    else if (this.cursor) this.drawReading(pen);
    if (this.drag || !this.cursor) this.readout.hidden = true;
  }

  drawLit(pen, lit) {
    const { x, y, width, height } = this.area;
    pen.clip(x - 4, y - 1, width + 8, height + 2);
    if (this.scene.kind === "levels") {
      for (const point of this.scene.points) {
        if (!lit.has(point.run.index)) continue;
        pen.disc(this.at.x(point.x) + this.offset(this.findSeries(point)) + 7, this.at.y(point.y), 5, { color: this.look.ink, width: 2 }, true);
      }
    } else {
      const whole = this.scene.lines.filter((line) => line.runs.some((run) => lit.has(run)));
      const alone = this.state.lines === "runs" || lit.size > 1 ? [] : this.scene.own.filter((line) => lit.has(line.run.index));
      for (const line of whole) {
        this.drawBand(pen, line);
        pen.line(this.trace(line.x, line.shown), { color: this.panel.color(line.level), width: line.x.length > LIGHT_WORK ? 1 : 2.75, dash: this.dash(line) });
        for (const end of line.breaks) this.drawCross(pen, this.at.x(end.x), this.at.y(end.y), this.panel.color(line.level));
      }
      for (const line of alone) pen.line(this.trace(line.x, line.y), { color: this.look.ink, width: 1.5 });
    }
    pen.unclip();
  }

  drawDrag(pen) {
    const { left, right, top, bottom } = this.findDragged();
    pen.area([left, top, right, top, right, bottom, left, bottom], { color: this.look.ink, alpha: 0.14 });
    pen.line([left, top, right, top, right, bottom, left, bottom, left, top], { color: this.look.ink, alpha: 0.6 });
  }

  // The rectangle being drawn, inside the axes; as tall or as wide as they where the stroke is flat.
  findDragged() {
    const { area, drag } = this;
    const clampX = (x) => Math.min(Math.max(x, area.x), area.x + area.width);
    const clampY = (y) => Math.min(Math.max(y, area.y), area.y + area.height);
    const [dx, dy] = [Math.abs(drag.x - drag.x0), Math.abs(drag.y - drag.y0)];
    const [flat, steep] = [dy < 12 || dy < dx / 6, dx < 12 || dx < dy / 6];
    const [left, right] = steep && !flat ? [area.x, area.x + area.width] : [clampX(drag.x0), clampX(drag.x)].sort((a, b) => a - b);
    const [top, bottom] = flat ? [area.y, area.y + area.height] : [clampY(drag.y0), clampY(drag.y)].sort((a, b) => a - b);
    return { left, right, top, bottom };
  }

  // The values of all lines at the place nearest to x, from the highest down; `about` where a line has no point there.
  readValues(x) {
    if (this.scene.kind === "levels") return this.readLevel(x);
    const found = this.scene.lines.map((line) => ({ line, i: findNearest(line.x, x) })).filter(({ line, i }) => Number.isFinite(line.y[i]) && line.x[i] >= this.view.left && line.x[i] <= this.view.right);
    if (!found.length) return null;
    const nearest = found.reduce((a, b) => (Math.abs(b.line.x[b.i] - x) < Math.abs(a.line.x[a.i] - x) ? b : a));
    const where = nearest.line.x[nearest.i];
    const here = found.filter(({ line, i }) => line.x[i] === where).map(({ line, i }) => this.readPoint(line, i));
    if (2 * here.length < found.length) {
      for (const { line, i } of found) {
        const [y, shown] = [interpolate(line.x, line.y, where), interpolate(line.x, line.shown, where)];
        if (line.x[i] !== where && Number.isFinite(y)) here.push({ line, y, shown, about: true, name: line.name, runs: line.runs, level: line.level });
      }
    }
    here.sort((a, b) => b.shown - a.shown);
    const axis = this.panel.study.axes.find((axis) => axis.name === this.state.x);
    return { x: where, title: `${axis.title} ${trim(where)}`, entries: here };
  }

  readPoint(line, i) {
    return { line, y: line.y[i], shown: line.shown[i], low: line.low?.[i], high: line.high?.[i], n: line.n?.[i], of: line.runs.length, name: line.name, runs: line.runs, level: line.level };
  }

  readLevel(x) {
    const places = this.scene.x.places.filter(({ at }) => at >= this.view.left && at <= this.view.right);
    if (!places.length) return null;
    const log = this.scene.x.log;
    const place = places.reduce((a, b) => (Math.abs(bend(log, b.at) - bend(log, x)) < Math.abs(bend(log, a.at) - bend(log, x)) ? b : a));
    const failed = (this.scene.failures.get(place.at) || []).length;
    if (this.state.lines === "runs") {
      const own = this.scene.points.filter((point) => point.x === place.at).map((point) => ({ y: point.y, shown: point.y, offset: 7 + this.offset(this.findSeries(point)), runs: [point.run.index], name: nameRun(this.panel.study, point.run), level: point.level }));
      return { x: place.at, title: `${this.scene.x.title} ${place.label}`, entries: own.sort((a, b) => b.y - a.y), failed };
    }
    const entries = this.scene.lines.flatMap((line) => {
      const i = Array.from(line.x).indexOf(place.at);
      if (i < 0) return [];
      const runs = this.scene.points.filter((point) => point.level === line.levels[i]).map((point) => point.run.index);
      return [{ ...this.readPoint(line, i), offset: this.offset(line), runs, of: line.n[i], name: line.name || this.panel.study.factors[0].names[this.scene.x.places.indexOf(place)], level: line.levels[i] }];
    });
    return { x: place.at, title: `${this.scene.x.title} ${place.label}`, entries, failed };
  }

  findSeries(point) {
    return this.scene.lines.find((line) => point.run.values[1] === undefined || line.second === point.run.values[1]);
  }

  formatEntry(entry) {
    const difference = this.state.base >= 0;
    const write = (value) => (difference ? formatDifference(this.metric, value) : formatValue(this.metric, value));
    const bare = (value) => formatDifference(this.metric, value, false);
    let text = `${entry.about ? "\u2248 " : ""}${write(entry.y)}`;
    if (Number.isFinite(entry.low) && this.state.lines === "mean") text += ` \u00b1 ${bare((entry.high - entry.low) / 2)}`;
    else if (Number.isFinite(entry.low)) text += ` (${bare(entry.low)} to ${bare(entry.high)})`;
    if (this.state.smoothing > 0 && this.scene.kind === "curves") text += `, smoothed ${write(entry.shown)}`;
    if (entry.n !== undefined && entry.n < entry.of) text += `, ${entry.n} of ${entry.of} runs`;
    return text;
  }

  drawReading(pen) {
    const reading = this.readValues(this.cursor.x);
    if (!reading) {
      this.readout.hidden = true;
      return;
    }
    const { ink, paper } = this.look;
    const pixel = this.at.x(reading.x);
    pen.line([pixel, this.area.y, pixel, this.area.y + this.area.height], { color: ink, alpha: 0.7, width: 1, dash: [4, 3] });
    const spots = reading.entries.map((entry) => ({ entry, x: pixel + (entry.offset || 0), y: this.at.y(entry.shown) }));
    for (const { entry, x, y } of spots.length <= 60 ? spots : []) {
      if (!(y >= this.area.y - 1 && y <= this.area.y + this.area.height + 1)) continue;
      pen.disc(x, y, 5, { color: paper });
      pen.disc(x, y, 3.8, { color: this.panel.color(entry.level) });
    }
    this.list(reading, spots, pixel);
  }

  list(reading, spots, pixel) {
    const narrow = this.width < NARROW;
    const most = narrow ? NAMED / 2 : NAMED;
    const near = (spot) => Math.abs(spot.y - (this.cursor.y ?? -1));
    const sorted = spots.length > most && this.cursor.y !== undefined ? [...spots].sort((a, b) => near(a) - near(b)) : spots;
    const named = sorted.slice(0, most).sort((a, b) => a.y - b.y);
    const rows = named.map(({ entry }) => make("div", entry === this.nearest ? { class: "near" } : {}, this.panel.swatch(entry.level), make("span", {}, entry.name), make("b", {}, this.formatEntry(entry))));
    if (spots.length > named.length) rows.push(make("div", {}, `and ${group(String(spots.length - named.length))} more`));
    if (reading.failed) rows.push(make("div", {}, `${count(reading.failed, "run")} diverged`));
    this.readout.replaceChildren(make("p", {}, reading.title), ...rows);
    this.readout.hidden = false;
    const left = pixel < this.width / 2;
    this.readout.classList.toggle("wide", narrow); // there is no room beside the crosshair
    this.readout.style.left = left ? `${pixel + 12}px` : "auto";
    this.readout.style.right = left ? "auto" : `${this.width - pixel + 12}px`;
    this.readout.style.maxWidth = `${Math.max(pixel, this.width - pixel) - 16}px`;
    const aloud = named.slice(0, SPOKEN).map(({ entry }) => `${entry.name} ${this.formatEntry(entry)}`).join("; ");
    this.reading = `${reading.title}: ${aloud}${spots.length > SPOKEN ? `; and ${spots.length - SPOKEN} more` : ""}`;
  }

  // Show the values at a pixel, and light the line that is nearest to it.
  point(x, y) {
    this.cursor = { x: this.at.fromX(Math.min(Math.max(x, this.area.x), this.area.x + this.area.width)), y };
    const reading = this.readValues(this.cursor.x);
    let [nearest, least] = [null, NEAR];
    for (const entry of reading ? reading.entries : []) {
      const away = Math.abs(this.at.y(entry.shown) - y);
      if (away < least) [nearest, least] = [entry, away];
    }
    this.nearest = nearest;
    this.panel.light(nearest ? new Set(nearest.runs) : null);
    this.refreshCover();
  }

  clear() {
    this.cursor = null;
    this.nearest = null;
    this.panel.light(null);
    this.refreshCover();
  }

  // ---- gestures ----

  listen() {
    const { box, cover } = this;
    cover.addEventListener("pointerdown", (event) => this.press(event));
    cover.addEventListener("pointermove", (event) => this.move(event));
    cover.addEventListener("pointerup", (event) => this.release(event));
    cover.addEventListener("pointercancel", (event) => this.cancel(event));
    cover.addEventListener("pointerleave", (event) => {
      if (event.pointerType === "mouse" && !this.drag && this.view && document.activeElement !== box) this.clear();
    });
    cover.addEventListener("dblclick", () => this.panel.set({ zoom: null }));
    cover.addEventListener("touchstart", (event) => {
      if (event.touches.length > 1 && event.cancelable) event.preventDefault(); // two fingers are ours, one scrolls the page
    }, { passive: false });
    cover.addEventListener("touchmove", (event) => {
      if (event.touches.length > 1 && event.cancelable) event.preventDefault();
    }, { passive: false });
    cover.addEventListener("wheel", (event) => {
      if (!event.ctrlKey || !this.view) return; // the pinch of a touchpad
      event.preventDefault();
      const [x, y] = this.locate(event);
      const factor = Math.exp(Math.min(50, Math.max(-50, event.deltaY)) / 100);
      this.zoomSoon(zoomView(this.view, this.domain, { x: factor, y: 1 }, { x: this.at.fromX(x), y: this.at.fromY(y) }, this.logs()));
    }, { passive: false });
    box.addEventListener("keydown", (event) => this.key(event));
    box.addEventListener("focus", () => {
      if (this.view && !this.cursor && box.matches(":focus-visible")) this.place(this.listPlaces()[0]);
    });
    box.addEventListener("blur", () => this.view && this.clear());
  }

  locate(event) {
    const frame = this.cover.getBoundingClientRect();
    return [event.clientX - frame.left, event.clientY - frame.top];
  }

  press(event) {
    if (!this.view || (event.pointerType === "mouse" && event.button !== 0)) return;
    const [x, y] = this.locate(event);
    this.pointers.set(event.pointerId, { x, y, x0: x, y0: y });
    try {
      this.cover.setPointerCapture(event.pointerId); // so that a stroke past the edge is not lost
    } catch { /* the pointer is gone already */ }
    if (event.pointerType !== "touch") this.drag = null;
    else if (this.pointers.size === 2) this.startPinch();
  }

  move(event) {
    if (!this.view) return;
    const [x, y] = this.locate(event);
    const own = this.pointers.get(event.pointerId);
    if (own) [own.x, own.y] = [x, y];
    if (event.pointerType === "touch") {
      if (this.pinch) this.movePinch();
      else if (own && this.pointers.size === 1 && Math.abs(x - own.x0) > SLIP) this.point(x, y);
    } else if (own) {
      if (!this.drag && Math.hypot(x - own.x0, y - own.y0) > SLIP) this.panel.light(null);
      if (this.drag || Math.hypot(x - own.x0, y - own.y0) > SLIP) {
        this.drag = own;
        this.refreshCover();
      }
    } else this.point(x, y);
  }

  release(event) {
    const own = this.pointers.get(event.pointerId);
    this.pointers.delete(event.pointerId);
    if (!own || !this.view) return;
    [own.x, own.y] = this.locate(event);
    if (this.pinch) {
      if (this.pointers.size < 2) this.pinch = null;
      this.tapped = 0;
      for (const left of this.pointers.values()) left.x0 = Infinity; // the finger left over is no tap
    } else if (this.drag) {
      const { left, right, top, bottom } = this.findDragged();
      this.drag = null;
      if (right - left > SLIP && bottom - top > SLIP) {
        const view = { left: this.at.fromX(left), right: this.at.fromX(right), bottom: this.at.fromY(bottom), top: this.at.fromY(top) };
        this.cursor = null;
        this.panel.set({ zoom: simplifyView(this.limit(view), this.domain) });
      } else this.refreshCover();
    } else if (own.x0 !== Infinity && Math.hypot(own.x - own.x0, own.y - own.y0) <= 2 * SLIP) this.tap(own, event);
  }

  // A tap shows values, which stay; a second one at once resets the zoom.
  tap({ x, y }, event) {
    const again = event.pointerType === "touch" && event.timeStamp - (this.tapped || -1e9) < 350;
    this.tapped = again ? 0 : event.timeStamp;
    if (again) this.panel.set({ zoom: null });
    this.point(x, y);
    this.spoken.textContent = this.readout.hidden ? "" : this.reading;
  }

  cancel(event) {
    this.pointers.delete(event.pointerId);
    [this.drag, this.pinch] = [null, null];
    this.refreshCover();
  }

  startPinch() {
    const [a, b] = [...this.pointers.values()];
    const [dx, dy] = [Math.abs(a.x - b.x), Math.abs(a.y - b.y)];
    this.pinch = {
      view: { ...this.view }, distance: Math.max(10, Math.hypot(a.x - b.x, a.y - b.y)), x: (a.x + b.x) / 2, y: (a.y + b.y) / 2,
      center: { x: this.at.fromX((a.x + b.x) / 2), y: this.at.fromY((a.y + b.y) / 2) }, along: { x: dx >= dy / 2, y: dy >= dx / 2 },
    };
    this.cursor = null;
  }

  // Fingers apart zoom along the line between them, fingers moved together move the view.
  movePinch() {
    const [a, b] = [...this.pointers.values()];
    if (!b) return;
    const { pinch, area } = this;
    const factor = pinch.distance / Math.max(10, Math.hypot(a.x - b.x, a.y - b.y));
    const logs = this.logs();
    const zoomed = zoomView(pinch.view, this.domain, { x: pinch.along.x ? factor : 1, y: pinch.along.y ? factor : 1 }, pinch.center, logs) || this.domain;
    const shift = (low, high, log, pixels, length) => {
      const [from, to] = [bend(log, zoomed[low]), bend(log, zoomed[high])];
      return moveSpan([from, to], [bend(log, this.domain[low]), bend(log, this.domain[high])], ((from - to) * pixels) / length).map((value) => unbend(log, value));
    };
    const [left, right] = shift("left", "right", logs.x, (a.x + b.x) / 2 - pinch.x, area.width);
    const [bottom, top] = shift("bottom", "top", logs.y, pinch.y - (a.y + b.y) / 2, area.height);
    this.zoomSoon(simplifyView({ left, right, bottom, top }, this.domain));
  }

  zoomSoon(zoom) {
    const first = this.wanted === undefined;
    this.wanted = zoom;
    if (first) requestAnimationFrame(() => {
      const { wanted } = this;
      this.wanted = undefined;
      this.panel.set({ zoom: wanted });
    });
  }

  // A view no smaller than the least part of the domain.
  limit(view) {
    return zoomView(view, this.domain, { x: 1, y: 1 }, { x: unbend(this.logs().x, (bend(this.logs().x, view.left) + bend(this.logs().x, view.right)) / 2), y: unbend(this.logs().y, (bend(this.logs().y, view.bottom) + bend(this.logs().y, view.top)) / 2) }, this.logs()) || this.domain;
  }

  // ---- the keyboard ----

  // All places at which some line has a point, inside the view.
  listPlaces() {
    if (!this.xs) {
      const lines = this.scene.kind === "levels" ? [{ x: this.scene.x.places.map((place) => place.at) }] : this.scene.lines;
      const all = new Set();
      for (const { x } of new Map(lines.map((line) => [line.x, line])).values()) for (const value of x) all.add(value);
      this.xs = Float64Array.from(all).sort();
    }
    return this.xs.subarray(countBelow(this.xs, this.view.left), countBelow(this.xs, this.view.right * (1 + Math.sign(this.view.right) * 1e-12)));
  }

  place(x) {
    if (x === undefined) return;
    this.cursor = { x, y: undefined };
    this.nearest = null;
    this.panel.light(null);
    this.refreshCover();
    this.spoken.textContent = this.readout.hidden ? "No values here." : this.reading;
  }

  key(event) {
    if (!this.view || event.ctrlKey || event.metaKey || event.altKey) return;
    const stride = event.shiftKey ? 10 : 1;
    const moves = { ArrowLeft: -stride, ArrowRight: stride, Home: -Infinity, End: Infinity };
    if (event.key in moves) this.step(moves[event.key]);
    else if (event.key === "+" || event.key === "=" || event.key === "-") this.zoomBy(event.key === "-" ? 2 : 0.5);
    else if (event.key === "Escape" || event.key === "0") this.resetByKey();
    else return;
    event.preventDefault();
  }

  step(distance) {
    const xs = this.listPlaces();
    if (!xs.length) return;
    const now = this.cursor ? findNearest(xs, this.cursor.x) : distance > 0 ? -1 : xs.length;
    this.place(xs[Math.min(xs.length - 1, Math.max(0, now + distance))]);
  }

  zoomBy(factor) {
    const center = { x: this.cursor ? this.cursor.x : (this.view.left + this.view.right) / 2, y: (this.view.bottom + this.view.top) / 2 };
    this.panel.set({ zoom: zoomView(this.view, this.domain, { x: factor, y: 1 }, center, this.logs()) });
    this.keepCursor();
  }

  resetByKey() {
    this.panel.set({ zoom: null });
    this.keepCursor();
  }

  // Move the crosshair to the nearest place in view, if a zoom left it outside.
  keepCursor() {
    if (!this.cursor || !this.view) return;
    const xs = this.listPlaces();
    if (xs.length) this.place(xs[findNearest(xs, this.cursor.x)]);
  }
}
