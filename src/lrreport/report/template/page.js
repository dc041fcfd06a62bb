(() => {
  const $ = (query, root = document) => root.querySelector(query);
  const $$ = (query, root = document) => [...root.querySelectorAll(query)];

  /* Code is folded away until it is asked for. */
  const code = $("#show-code");
  code.hidden = $$("details.code").length === 0;
  document.body.classList.add("folded");
  code.addEventListener("click", () => {
    const shown = code.getAttribute("aria-pressed") !== "true";
    code.setAttribute("aria-pressed", shown);
    code.textContent = shown ? "Hide code" : "Show code";
    document.body.classList.toggle("folded", !shown);
    $$("details.code").forEach((details) => { details.open = shown; });
  });

  const contents = $(".contents");
  const close = () => { contents.open = false; };
  $$("a", contents).forEach((link) => link.addEventListener("click", close));
  document.addEventListener("click", (event) => { if (!contents.contains(event.target)) close(); });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && contents.open) { close(); $("summary", contents).focus(); }
  });

  /* A link to a finding opens it; a link into a folded part unfolds it. */
  const reveal = () => {
    let target = null;
    try { target = document.getElementById(decodeURIComponent(location.hash.slice(1))); } catch { return; }
    if (!target) return;
    if (target.matches("[popover]") && target.showPopover && !target.matches(":popover-open")) target.showPopover();
    for (let box = target; box; box = box.parentElement) if (box.tagName === "DETAILS") box.open = true;
    if (!target.matches("[popover]")) target.scrollIntoView();
  };
  addEventListener("hashchange", reveal);
  reveal();

  const copy = async (text) => {
    try { await navigator.clipboard.writeText(text); return true; } catch { /* no permission, or a page from a file */ }
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  };
  const confirm = (button, done) => {
    const before = button.textContent;
    button.textContent = done ? "Copied" : "Press Ctrl+C";
    setTimeout(() => { button.textContent = before; }, 1500);
  };
  $$("button[data-copy]").forEach((button) => {
    button.hidden = false;
    button.addEventListener("click", async () => confirm(button, await copy(button.dataset.copy)));
  });

  /* "¶" copies the link and the sentence as Markdown. */
  $$("a.anchor").forEach((link) => link.addEventListener("click", () => {
    const box = link.closest("[popover], figure, .findings-box, h2");
    const text = ($("p, figcaption, caption", box) || box).textContent.replace("¶", "").trim();
    copy(`[${text}](${location.href.split("#")[0]}${link.hash})`);
  }));

  const save = (name, blob) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  };
  const add = (box, label, act) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = label;
    button.addEventListener("click", act);
    box.append(button);
  };
  const PAINT = ["fill", "fill-opacity", "stroke", "stroke-width", "stroke-dasharray", "opacity", "font-size", "font-weight", "font-family"];
  const freeze = (svg) => {
    const clone = svg.cloneNode(true);
    const originals = $$("*", svg);
    $$("*", clone).forEach((node, i) => {
      const style = getComputedStyle(originals[i]);
      node.setAttribute("style", PAINT.map((name) => `${name}:${style.getPropertyValue(name)}`).join(";"));
    });
    const box = svg.viewBox.baseVal;
    clone.setAttribute("xmlns", "http://www.w3.org/2000/svg");
    clone.setAttribute("width", box.width);
    clone.setAttribute("height", box.height);
    clone.style.background = getComputedStyle(document.body).backgroundColor;
    return new XMLSerializer().serializeToString(clone);
  };
  const rasterize = (name, text, svg) => {
    const image = new Image();
    image.onload = () => {
      const canvas = document.createElement("canvas");
      const box = svg.viewBox.baseVal;
      canvas.width = 2 * box.width;
      canvas.height = 2 * box.height;
      canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
      canvas.toBlob((blob) => save(`${name}.png`, blob));
    };
    image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;
  };
  const toCsv = (table) => $$("tr", table).map((row) => $$("th, td", row).map((cell) => {
    const shown = cell.cloneNode(true);
    $$("[popover]", shown).forEach((popover) => popover.remove());
    return `"${shown.textContent.trim().replaceAll('"', '""')}"`;
  }).join(",")).join("\r\n");

  $$("main figure[id]").forEach((figure) => {
    const data = figure.nextElementSibling?.matches("details.data") ? figure.nextElementSibling : null;
    const box = document.createElement("span");
    box.className = "actions";
    const visible = () => $$("svg", figure).find((drawing) => drawing.getBoundingClientRect().width > 0);
    add(box, "SVG", () => save(`${figure.id}.svg`, new Blob([freeze(visible())], { type: "image/svg+xml" })));
    add(box, "PNG", () => rasterize(figure.id, freeze(visible()), visible()));
    if (data) add(box, "CSV", () => save(`${figure.id}.csv`, new Blob([toCsv($("table", data))], { type: "text/csv" })));
    $("figcaption", figure).append(box);
  });
  $$("main .table[id]").filter((table) => !table.closest("details.data, .explorer")).forEach((table) => {
    const box = document.createElement("div");
    box.className = "actions";
    add(box, "CSV", () => save(`${table.id}.csv`, new Blob([toCsv(table)], { type: "text/csv" })));
    table.after(box);
  });
})();
