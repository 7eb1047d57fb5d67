// One record: its pictures, its marks, all that is known of it.

import { ask, at, counted, covered, element, filters, hash, picture, reveal, share, shown } from "./common.js";

const PER_PAGE = 60; // as the server has it

export async function showRecord(key) {
  const mine = ++shown.turn;
  const asked = filters();
  asked.set("key", key);
  const record = await ask("api/record", asked);
  if (mine !== shown.turn) return;
  keepNote(); // what stands in the field belongs to the record that is left
  const opened = !shown.record;
  shown.record = record;
  at("key").textContent = record.key;
  at("summary").textContent = [record.label_name, record.split, `${record.height} x ${record.width} pixels (height x width)`, covered(record)].filter(Boolean).join(" · ");
  showPosition(record);
  showPictures(record);
  showMark(record, { renew: true });
  showClasses(record);
  showFindings(record);
  showFacts(record);
  showFeatures(record);
  document.title = `${record.key} – ${shown.dataset.name}`;
  reveal("record");
  if (opened) {
    at("key").focus({ preventScroll: true });
    scrollTo(0, 0);
  }
}

function showPosition(record) {
  const { position } = record;
  at("position").textContent = position ? `${counted(position.number + 1)} of ${counted(position.found)}` : "not among the records that the filters let through";
  at("back").href = hash({ record: null, page: position ? Math.floor(position.number / PER_PAGE) + 1 : null });
  for (const name of ["previous", "next"]) {
    const key = position?.[name] ?? null;
    if (key === null) at(name).removeAttribute("href");
    else at(name).href = hash({ record: key });
  }
}

function stack(record, name, title, layers) {
  const button = element("button", { type: "button", textContent: "Enlarge" });
  button.setAttribute("aria-pressed", "false");
  button.setAttribute("aria-label", `Enlarge: ${title}`);
  const box = element("div", { className: "stack" }, ...layers);
  box.style.setProperty("--ratio", record.width / record.height);
  const figure = element("figure", { id: name }, element("figcaption", {}, title, button), box);
  figure.classList.toggle("pixels", Math.max(record.width, record.height) < 320);
  button.addEventListener("click", () => {
    const large = figure.classList.toggle("large");
    button.setAttribute("aria-pressed", large);
  });
  return figure;
}

function showPictures(record) {
  const { row, key, damage } = record;
  const masked = record.has_mask && !damage.mask && !damage.image;
  const broken = (words) => element("p", { className: "broken", textContent: words });
  const image = (alt) => (damage.image ? broken(damage.image) : picture(`image/${row}`, alt));
  const figures = [];
  if (masked) {
    const fill = picture(`mask/${row}`, "", { className: "fill" });
    const outline = picture(`outline/${row}`, "", { className: "outline" });
    figures.push(stack(record, "overlay", "Image and mask", [image(`Image of ${key} with its mask painted over`), fill, outline]));
  }
  figures.push(stack(record, "image", "Image", [image(`Image of ${key}`)]));
  if (record.has_mask) {
    figures.push(stack(record, "mask", "Mask", [damage.mask ? broken(damage.mask) : picture(`mask/${row}`, `Mask of ${key}`)]));
  }
  if (record.source) figures.push(stack(record, "source", "Source file", [picture(`source/${row}`, `Source file of ${key}`)]));
  at("pictures").replaceChildren(...figures);
  at("pictures").classList.toggle("single", figures.length === 1);
  at("controls").hidden = !masked;
  setOverlay();
}

export function setOverlay() {
  at("pictures").style.setProperty("--opacity", at("opacity").value / 100);
  at("opacity-said").textContent = `${at("opacity").value} %`;
  const outline = document.querySelector(".outline");
  if (outline) outline.hidden = !at("outline").checked;
}

function showMark(record, { renew = false } = {}) {
  for (const button of document.querySelectorAll("[data-mark]")) {
    button.setAttribute("aria-pressed", button.dataset.mark === record.mark);
  }
  const note = at("note");
  if (renew || note !== document.activeElement) note.value = record.note;
  note.disabled = !record.mark;
  note.placeholder = record.mark ? "" : "Choose a mark first";
  at("kept").textContent = "";
}

function row(...cells) {
  return element("tr", {}, ...cells.map((cell) => element("td", {}, cell)));
}

function showClasses(record) {
  const pixels = record.width * record.height;
  const rows = record.mask_pixels.map((one) => {
    const swatch = element("span", { className: one.id === 255 ? "swatch ignore" : "swatch" });
    if (one.colour) swatch.style.setProperty("--colour", one.colour);
    const name = element("span", {}, swatch, one.name);
    return row(name, counted(one.pixels), share(one.pixels / pixels));
  });
  at("classes").tBodies[0].replaceChildren(...rows);
  at("classes-panel").hidden = !rows.length;
}

function showFindings(record) {
  at("findings").replaceChildren(...record.findings.map((one) => element("li", {},
    element("strong", { textContent: `${one.level} ${one.code}` }),
    element("p", { textContent: one.message }),
    element("p", { className: "fix", textContent: one.fix }))));
  at("findings-panel").hidden = !record.findings.length;
}

function showFacts(record) {
  const facts = {
    Row: counted(record.row),
    Shard: record.shard,
    Record: counted(record.number),
    Offset: `${counted(record.offset)} bytes`,
    Length: `${counted(record.length)} bytes`,
    Group: record.group,
    ...record.kept,
    "SHA-256": record.sha256,
  };
  const known = Object.entries(facts).filter(([, value]) => value !== null && value !== "");
  at("facts").replaceChildren(...known.flatMap(([name, value]) => [
    element("dt", { textContent: name }), element("dd", { textContent: value })]));
  at("link").href = `#${new URLSearchParams({ record: record.key })}`;
}

/** A name that may be broken after its slashes alone. */
function slashed(name) {
  return element("code", {}, ...name.split(/(?<=\/)/).flatMap((part) => [part, element("wbr")]));
}

function showFeatures(record) {
  const rows = (record.features ?? []).map((one) => row(slashed(one.name), one.kind, one.value));
  at("features").querySelector("tbody").replaceChildren(...rows);
  at("features").hidden = !rows.length;
}

// --- marks: sent one after the other, so that the last one said is the one kept

const PAUSE = 600; // ms without a key after which a note is kept

let sending = Promise.resolve();
let pause;

export function keep(mark, note, { leaving = false } = {}) {
  clearTimeout(pause);
  const marked = shown.record;
  if (mark === marked.mark && note === marked.note) return;
  Object.assign(marked, { mark, note: mark ? note : "" });
  showMark(marked);
  if (at("note").value !== marked.note) at("note").value = marked.note;
  const body = { key: marked.key, mark, note: marked.note };
  sending = leaving ? send(body) : sending.then(() => send(body));
}

export function keepNoteSoon() {
  clearTimeout(pause);
  at("kept").textContent = "";
  pause = setTimeout(keepNote, PAUSE);
}

/** Keep what stands in the field, if it is not kept yet; a page that goes away waits for nothing. */
export function keepNote(how) {
  clearTimeout(pause);
  if (shown.record?.mark) keep(shown.record.mark, at("note").value, how);
}

async function send(body) {
  const headers = { "Content-Type": "application/json", "X-Segrecord-Token": shown.dataset.token };
  let words = `Kept in ${shown.dataset.marks_file}.`;
  try {
    const answer = await fetch("marks", { method: "POST", headers, body: JSON.stringify(body), keepalive: true });
    const said = await answer.text(); // read always: a request ends when its answer is read
    if (!answer.ok) words = `Not kept: ${said}`;
  } catch {
    words = "Not kept: the server does not answer.";
  }
  if (shown.record?.key === body.key) at("kept").textContent = words;
}
