// What the list and the record share: what is shown, its address, and words for it.

export const at = (id) => document.getElementById(id);

export const shown = {
  dataset: null, // what /api/dataset says
  page: null, // of the list
  record: null, // the one that is open; null in the list
  turn: 0, // of the latest request: answers of earlier ones come too late
};

const FILTERS = ["split", "label", "has_mask", "code", "mark", "search", "sort", "order"];

export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

export function state() {
  return new URLSearchParams(location.hash.slice(1));
}

/** The hash of the present view with these changes; null and "" take a name out. */
export function hash(changes = {}) {
  const found = state();
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === "") found.delete(name);
    else found.set(name, value);
  }
  return `#${found}`;
}

export function filters() {
  return new URLSearchParams([...state()].filter(([name]) => FILTERS.includes(name)));
}

export async function ask(path, parameters) {
  const answer = await fetch(`${path}?${parameters}`);
  if (!answer.ok) throw new Error(await answer.text());
  return answer.json();
}

export function tell(error) {
  // fetch itself fails with a TypeError, in words that say nothing.
  const words = error instanceof TypeError ? "The server does not answer: is it still running?" : error?.message;
  at("error-words").textContent = words ?? "";
  at("error").hidden = !error;
}

export const counted = (number) => number.toLocaleString("en");

export function share(value) {
  const percent = 100 * value;
  return percent > 0 && percent < 0.1 ? "under 0.1 %" : `${percent.toFixed(1)} %`;
}

export function covered(one) {
  if (!one.has_mask) return "no mask";
  if (one.coverage === null) return "mask";
  return one.coverage === 0 ? "empty mask" : `mask ${share(one.coverage)}`;
}

/** A picture that is replaced by the server's words where the record is damaged. */
export function picture(path, alt, properties = {}) {
  const made = element("img", { src: path, alt, decoding: "async", ...properties });
  made.addEventListener("error", async () => {
    const answer = await fetch(path).catch(() => null);
    const words = answer ? await answer.text() : "The server does not answer.";
    made.replaceWith(element("span", { className: "broken", textContent: words }));
  });
  return made;
}

export function reveal(name) {
  for (const one of ["list", "record"]) at(one).hidden = one !== name;
}
