"use strict";
const form = document.getElementById("form");
const answer = document.getElementById("answer");

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function digits(number) {
  return typeof number === "number" ? String(Number(number.toPrecision(6))) : String(number);
}

function show(target, cells) {
  const said = Array.isArray(cells.prediction) ? cells.prediction.join(", ") || "no label" : digits(cells.prediction);
  const parts = [element("p", "target", target), element("p", "value", said)];
  if ("prediction_low" in cells) parts.push(element("p", "note", digits(cells.prediction_low) + " to " + digits(cells.prediction_high)));
  const classes = Object.entries(cells).filter(([name]) => name.startsWith("probability_")).sort((a, b) => b[1] - a[1]);
  for (const [name, probability] of classes.slice(0, 20)) {
    const line = element("div", "class");
    line.append(element("span", "", name.slice("probability_".length)), element("span", "", (100 * probability).toFixed(1) + " %"));
    const bar = element("progress");
    bar.max = 1;
    bar.value = probability;
    parts.push(line, bar);
  }
  return parts;
}

const fields = [...form.querySelectorAll("[data-kind]")];
const pictures = fields.filter((field) => field.dataset.kind === "image");

function row() {
  const value = (field) => {
    if (field.dataset.kind === "image") return field.dataset.content ?? null;
    return field.value === "" ? null : field.dataset.kind === "number" ? Number(field.value) : field.value;
  };
  return Object.fromEntries(fields.map((field) => [field.name, value(field)]));
}

function choose(field) {
  const file = field.files[0];
  const preview = field.nextElementSibling;
  delete field.dataset.content;
  preview.hidden = true;
  if (!file) return;
  const reader = new FileReader();
  reader.onload = () => {
    field.dataset.content = reader.result;
    preview.src = reader.result;
    preview.hidden = false;
    answerForm();
  };
  reader.readAsDataURL(file);
}

async function ask() {
  const headers = { "content-type": "application/json" };
  const response = await fetch(form.dataset.path, { method: "POST", headers, body: JSON.stringify({ rows: [row()] }) });
  const body = await response.json();
  if (!response.ok) throw new Error(body.error.hint ? body.error.message + " (" + body.error.hint + ")" : body.error.message);
  const cells = body.predictions[0];
  const parts = "prediction" in cells && (Array.isArray(cells.prediction) || typeof cells.prediction !== "object")
    ? show("Prediction", cells)
    : Object.entries(cells).flatMap(([target, own]) => show(target, own));
  for (const unseen of body.unseen ?? []) parts.push(element("p", "note", unseen.column + ": training did not see " + unseen.value));
  answer.replaceChildren(...parts);
}

function answerForm() {
  if (pictures.some((field) => !field.dataset.content)) {
    answer.replaceChildren(element("p", "note", "Choose a picture, and the answer appears here."));
    return Promise.resolve();
  }
  return ask().catch((error) => answer.replaceChildren(element("p", "wrong", error.message)));
}

for (const field of pictures) field.addEventListener("change", () => choose(field));
form.addEventListener("submit", (event) => {
  event.preventDefault();
  answerForm().then(() => answer.scrollIntoView({ block: "nearest" }));
});
answerForm();
