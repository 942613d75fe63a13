"use strict";
// Filters the items, and opens all details for printing. Without this script every item is shown.
const form = document.querySelector(".filters");
const items = [...document.querySelectorAll(".item")].map((node) => ({
  node,
  rows: [...node.querySelectorAll("tr[data-model]")],
  outcomes: node.dataset.outcomes.split(" "),
  invalid: node.dataset.invalid.split(" "),
  text: node.textContent.toLowerCase(),
}));

function read(name) {
  const field = form.elements[name];
  return field ? field.value : "";
}

function matches(item, wanted) {
  if (wanted.source && item.node.dataset.source !== wanted.source) return false;
  if (wanted.kind && item.node.dataset.kind !== wanted.kind) return false;
  if (!wanted.words.every((word) => item.text.includes(word))) return false;
  if (!wanted.show) return true;
  if (wanted.show === "differ") {
    const spoken = item.outcomes.filter((outcome) => outcome !== "unpaired");
    return new Set(spoken.map((outcome) => outcome === "won" || outcome === "right")).size > 1;
  }
  const marks = wanted.show === "invalid" ? item.invalid : item.outcomes;
  const value = wanted.show === "invalid" ? "1" : wanted.show;
  return wanted.model ? marks[Number(wanted.model)] === value : marks.includes(value);
}

function update() {
  const wanted = {
    show: read("show"),
    model: read("model"),
    source: read("source"),
    kind: read("kind"),
    words: read("text").toLowerCase().split(/\s+/).filter(Boolean),
  };
  let count = 0;
  for (const item of items) {
    const visible = matches(item, wanted);
    item.node.hidden = !visible;
    count += visible;
    for (const row of item.rows) row.hidden = wanted.model !== "" && row.dataset.model !== wanted.model;
  }
  form.querySelector("output").textContent =
    count === 0 ? "No item matches." : `${count} of ${items.length} items`;
}

form.hidden = false;
form.addEventListener("input", update);
form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("reset", () => setTimeout(update));
update();

let closed = [];
addEventListener("beforeprint", () => {
  closed = [...document.querySelectorAll("details:not([open])")];
  for (const node of closed) node.open = true;
});
addEventListener("afterprint", () => {
  for (const node of closed) node.open = false;
});
