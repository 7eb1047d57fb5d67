"use strict";
/* Filter, opacity, enlarging. Without script all of the page can be read. */
const root = document.documentElement;
root.classList.add("scripted");

const form = document.querySelector(".filter");
if (form) {
  const groups = [...document.querySelectorAll(".group")].map((element) => ({
    element,
    head: element.querySelector("summary").textContent.toLowerCase(),
    rows: [...element.querySelectorAll(".row")].map((row) => ({ row, text: row.textContent.toLowerCase() })),
    opened: element.open,
  }));
  const output = form.querySelector("output");
  let searching = false;

  const filter = () => {
    const levels = new Set([...form.querySelectorAll("[name=level]:checked")].map((box) => box.value));
    const text = form.elements.text.value.trim().toLowerCase();
    let shown = 0;
    let all = 0;
    for (const group of groups) {
      if (text && !searching) group.opened = group.element.open;
      const whole = group.head.includes(text);
      let some = 0;
      for (const { row, text: said } of group.rows) {
        row.hidden = !(whole || said.includes(text));
        some += row.hidden ? 0 : 1;
      }
      const visible = levels.has(group.element.dataset.level) && some > 0;
      group.element.hidden = !visible;
      group.element.open = text ? true : searching ? group.opened : group.element.open;
      shown += visible ? some : 0;
      all += group.rows.length;
    }
    searching = text !== "";
    output.textContent = shown === all ? "" : `${shown} of ${all} listed findings`;
    document.querySelector(".nothing").hidden = shown > 0;
  };
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  filter();
}

const openTarget = () => {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target && target.matches("details")) target.open = true;
};
addEventListener("hashchange", openTarget);
openTarget();

const tools = document.querySelector(".tools");
if (tools) {
  const slider = tools.querySelector("#opacity");
  const outline = tools.querySelector("#outline");
  const output = tools.querySelector("output");
  const apply = () => {
    root.style.setProperty("--mask", slider.value / 100);
    output.textContent = `${slider.value} %`;
    root.classList.toggle("no-outline", !outline.checked);
  };
  tools.addEventListener("input", apply);
  apply();
}

const dialog = document.getElementById("large");
const view = dialog.querySelector(".view");
let current = null;

const visible = () =>
  [...document.querySelectorAll("main .enlarge")].filter((button) => button.offsetParent !== null);

const show = (button) => {
  current = button;
  const caption = button.parentElement.querySelector("figcaption, div");
  const copy = document.createElement("div");
  copy.className = "caption";
  if (caption) copy.append(...[...caption.cloneNode(true).childNodes]);
  view.replaceChildren(button.querySelector(".stack").cloneNode(true), copy);
};
const step = (by) => {
  const all = visible();
  const at = all.indexOf(current);
  show(all[(at + by + all.length) % all.length]);
};

document.querySelector("main").addEventListener("click", (event) => {
  const button = event.target.closest(".enlarge");
  if (!button) return;
  show(button);
  if (tools) dialog.querySelector(".slot").append(tools);
  dialog.showModal();
});
dialog.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (event.target === dialog || (button && "close" in button.dataset)) dialog.close();
  else if (button && button.dataset.step) step(Number(button.dataset.step));
});
dialog.addEventListener("keydown", (event) => {
  if (event.target.matches("input")) return;
  if (event.key === "ArrowLeft") step(-1);
  if (event.key === "ArrowRight") step(1);
});
dialog.addEventListener("close", () => {
  if (tools) document.querySelector(".home").append(tools);
  if (current) current.focus();
  view.replaceChildren();
});

/* Paper has no summaries to open. */
let closed = [];
addEventListener("beforeprint", () => {
  closed = [...document.querySelectorAll("details:not([open], .quiet)")];
  for (const element of closed) element.open = true;
});
addEventListener("afterprint", () => {
  for (const element of closed) element.open = false;
});
