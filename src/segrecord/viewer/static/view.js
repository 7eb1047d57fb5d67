// The page of `segrecord view`. What is shown stands in the URL's hash: the filters, the page, and
// with `record=KEY` that record; so a link, a bookmark and the browser's Back lead to the same view.

import { ask, at, counted, reveal, shown, state, tell } from "./common.js";
import { fillFilters, readFilters, setFilters, showList, target, turnTo } from "./list.js";
import { keep, keepNote, keepNoteSoon, setOverlay, showRecord } from "./record.js";

// --- keys

function onKey(event) {
  const typing = event.target.matches("input:not([type=checkbox]), select, textarea");
  if (event.key === "Escape" && shown.record) {
    event.target.blur();
    at("back").click();
    return;
  }
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const letters = at("letters").checked;
  const mark = { g: "good", w: "wrong", u: "unsure" }[event.key];
  if (shown.record && event.key === "ArrowLeft") at("previous").click();
  else if (shown.record && event.key === "ArrowRight") at("next").click();
  else if (!shown.record && event.key.startsWith("Arrow")) move(event);
  else if (letters && shown.record && mark) document.querySelector(`[data-mark=${mark}]`).click();
  else if (letters && shown.record && event.key === "o") at("outline").click();
  else if (letters && !shown.record && event.key === "/") {
    event.preventDefault();
    at("filters-box").open = true;
    at("filters").elements.search.focus();
  }
}

/** From picture to picture by the arrow keys, as they lie on the screen. */
function move(event) {
  const links = [...document.querySelectorAll(".tile")];
  const now = links.indexOf(document.activeElement);
  if (!links.length || (now < 0 && event.key.match(/Up|Down/))) return;
  const across = getComputedStyle(at("tiles")).gridTemplateColumns.split(" ").length;
  const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -across, ArrowDown: across }[event.key];
  const next = links[now < 0 ? 0 : now + step];
  if (!next) return;
  event.preventDefault();
  next.focus();
}

// --- the whole

async function show() {
  keepNote();
  const key = state().get("record");
  setFilters();
  try {
    await (key === null ? showList() : showRecord(key));
    tell(null);
  } catch (error) {
    reveal("");
    shown.record = null;
    tell(error);
  }
}

function listen() {
  let pause;
  at("filters").addEventListener("input", (event) => {
    clearTimeout(pause);
    pause = setTimeout(readFilters, event.target.name === "search" ? 250 : 0);
  });
  at("filters").addEventListener("submit", (event) => event.preventDefault());
  at("filters").addEventListener("reset", () => setTimeout(readFilters));
  at("painted").addEventListener("change", show);
  at("pages").addEventListener("click", (event) => {
    const name = event.target.dataset.page;
    if (name) turnTo(target(name));
  });
  at("jump").addEventListener("submit", (event) => {
    event.preventDefault();
    turnTo(Math.min(Math.max(Math.trunc(at("page").valueAsNumber) || 1, 1), shown.page.pages));
  });
  at("opacity").addEventListener("input", setOverlay);
  at("outline").addEventListener("change", setOverlay);
  for (const button of document.querySelectorAll("[data-mark]")) {
    button.addEventListener("click", () => {
      const mark = shown.record.mark === button.dataset.mark ? "" : button.dataset.mark;
      keep(mark, at("note").value);
    });
  }
  at("note").addEventListener("input", keepNoteSoon);
  at("note").addEventListener("change", () => keepNote());
  addEventListener("pagehide", () => keepNote({ leaving: true }));
  document.addEventListener("visibilitychange", () => document.hidden && keepNote());
  document.addEventListener("keydown", onKey);
  addEventListener("hashchange", show);
}

async function start() {
  try {
    shown.dataset = await ask("api/dataset", "");
  } catch (error) {
    tell(error);
    return;
  }
  at("name").textContent = shown.dataset.name;
  const splits = shown.dataset.splits.map((one) => `${one.name} ${counted(one.records)}`).join(", ");
  at("about").textContent = `${counted(shown.dataset.records)} ${shown.dataset.records === 1 ? "record" : "records"}: ${splits}`;
  at("marks-file").textContent = shown.dataset.marks_file;
  fillFilters();
  listen();
  await show();
}

start();
