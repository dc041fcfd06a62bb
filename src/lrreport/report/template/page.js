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
document.querySelectorAll(".contents a").forEach((link) => {
  link.addEventListener("click", () => { link.closest("details").open = false; });
});
