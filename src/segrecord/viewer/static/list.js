// The list: filters, pages, pictures.

import { ask, at, counted, covered, element, filters, hash, reveal, shown, state } from "./common.js";
import { keepNote } from "./record.js";

function tile(one) {
  const folder = one.key.slice(0, one.key.lastIndexOf("/") + 1);
  const words = element("span", { className: "words" }, element("span", { className: "key", title: one.key },
    element("span", { className: "folder", textContent: folder }),
    element("span", { className: "file", textContent: one.key.slice(folder.length) })));
  for (const said of [one.label_name, covered(one)].filter(Boolean)) {
    words.append(element("span", { className: "said", textContent: said }));
  }
  if (one.mark) words.append(element("span", { className: `mark ${one.mark}`, textContent: one.mark }));
  if (one.codes.length) words.append(element("span", { className: "said", textContent: one.codes.join(", ") }));
  const box = element("span", { className: "picture" });
  const link = element("a", { className: "tile", href: hash({ record: one.key }) }, box, words);
  link.dataset.row = one.row;
  return element("li", {}, link);
}

/** The pictures of the page, in one answer that is read as it comes. */
async function fillTiles(mine) {
  const boxes = new Map(shown.page.records.map((one, number) => [one.row, at("tiles").children[number].querySelector(".picture")]));
  if (!boxes.size) return;
  const answer = await fetch(`api/thumbs?rows=${[...boxes.keys()]}&painted=${Number(at("painted").checked)}`);
  if (!answer.ok) throw new Error(await answer.text());
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    if (mine !== shown.turn) {
      await reader.cancel();
      return;
    }
    const lines = (rest + part.value).split("\n");
    rest = lines.pop();
    for (const one of lines.map((line) => JSON.parse(line))) {
      boxes.get(one.row).replaceChildren(one.error
        ? element("span", { className: "broken", textContent: one.error })
        : element("img", { src: one.picture, alt: "", decoding: "async" }));
    }
  }
}

export async function showList() {
  const mine = ++shown.turn;
  const last = shown.record;
  at("tiles").setAttribute("aria-busy", "true");
  const asked = filters();
  asked.set("page", state().get("page") ?? 1);
  const found = await ask("api/records", asked);
  if (mine !== shown.turn) return;
  keepNote();
  shown.page = found;
  shown.record = null;
  at("tiles").replaceChildren(...shown.page.records.map(tile));
  at("tiles").setAttribute("aria-busy", "false");
  const many = shown.page.pages > 1 ? `, page ${counted(shown.page.page)} of ${counted(shown.page.pages)}` : "";
  const of = shown.page.count === shown.page.total ? "" : ` of ${counted(shown.page.total)}`;
  at("count").textContent = shown.page.count ? `${counted(shown.page.count)}${of} ${shown.page.total === 1 ? "record" : "records"}${many}` : "No record is like that.";
  at("page").value = shown.page.page;
  at("page").max = shown.page.pages;
  at("pages-all").textContent = `of ${counted(shown.page.pages)}`;
  at("pages").hidden = shown.page.pages === 1;
  at("clear").hidden = [...filters().keys()].length === 0;
  for (const button of at("pages").querySelectorAll("button")) {
    button.disabled = target(button.dataset.page) === shown.page.page;
  }
  document.title = `${shown.dataset.name} – segrecord`;
  reveal("list");
  if (last) document.querySelector(`[data-row="${last.row}"]`)?.focus();
  await fillTiles(mine);
}

export function target(name) {
  const to = { first: 1, previous: shown.page.page - 1, next: shown.page.page + 1, last: shown.page.pages }[name];
  return Math.min(Math.max(to, 1), shown.page.pages);
}

export function fillFilters() {
  const form = at("filters");
  const options = {
    split: shown.dataset.splits.map((one) => [one.name, one.records, one.name]),
    label: shown.dataset.labels.map((one) => [one.id, one.records, one.name]),
    code: shown.dataset.codes.map((one) => [one.code, one.records, one.code]),
  };
  for (const [name, values] of Object.entries(options)) {
    for (const [value, records, text] of values) {
      form.elements[name].append(element("option", { value, textContent: `${text} (${counted(records)})` }));
    }
    form.elements[name].parentElement.hidden = values.length < (name === "code" ? 1 : 2);
  }
  form.elements.has_mask.parentElement.hidden = !shown.dataset.masks || !shown.dataset.missing_masks;
  at("filters-box").open = matchMedia("(min-width: 700px)").matches;
}

export function setFilters() {
  const form = at("filters"), now = state();
  for (const name of ["search", "split", "label", "has_mask", "code", "mark"]) {
    const control = form.elements[name];
    if (control !== document.activeElement || name !== "search") control.value = now.get(name) ?? "";
  }
  form.elements.sort.value = now.get("sort") ? `${now.get("sort")} ${now.get("order") ?? "asc"}` : "";
}

export function readFilters() {
  const given = Object.fromEntries(new FormData(at("filters")));
  const [sort, order] = given.sort ? given.sort.split(" ") : ["", ""];
  location.hash = hash({ ...given, sort, order, page: null });
}

export function turnTo(number) {
  location.hash = hash({ page: number === 1 ? null : number });
  scrollTo(0, 0);
}
