const wide = matchMedia("(min-width: 80rem)");
const contents = document.querySelector(".contents");
const button = document.getElementById("show-code");
button.hidden = false;
document.body.classList.add("folded");
button.addEventListener("click", () => {
  const shown = button.getAttribute("aria-pressed") !== "true";
  button.setAttribute("aria-pressed", shown);
  button.textContent = shown ? "Hide code" : "Show code";
  document.body.classList.toggle("folded", !shown);
  document.querySelectorAll("details.code").forEach((code) => { code.open = shown; });
});

/* Beside the text where there is room, folded away where there is not. */
const place = () => { contents.open = wide.matches; };
wide.addEventListener("change", place);
place();
const links = new Map([...contents.querySelectorAll("a")].map((link) => [decodeURIComponent(link.hash.slice(1)), link]));
links.forEach((link) => link.addEventListener("click", () => { contents.open = wide.matches; }));
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && contents.open && !wide.matches) {
    contents.open = false;
    contents.querySelector("summary").focus();
  }
});

/* Mark the section that the reader is in: the last whose heading has reached the upper third of the window. */
const headings = [...document.querySelectorAll("h2[id]")].filter((heading) => links.has(heading.id));
const follow = () => {
  const passed = headings.filter((heading) => heading.getBoundingClientRect().top < innerHeight / 3);
  const atEnd = innerHeight + scrollY >= document.documentElement.scrollHeight - 2;
  const current = atEnd ? headings.at(-1) : passed.at(-1);
  links.forEach((link, id) => {
    if (current && id === current.id) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  });
};
addEventListener("scroll", follow, { passive: true });
follow();
