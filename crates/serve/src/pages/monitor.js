"use strict";
const EVERY = 5000;
let busy = false;

function say(text, isWrong) {
  const said = document.getElementById("said");
  said.textContent = text;
  said.className = isWrong ? "wrong" : "note";
}

async function look() {
  if (busy || document.hidden) return;
  busy = true;
  try {
    const response = await fetch(location.href, { headers: { accept: "text/html" } });
    if (!response.ok) throw new Error("the server answers " + response.status);
    const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
    const live = document.getElementById("live");
    const said = document.getElementById("said");
    fresh.getElementById("said").replaceWith(said);
    // What somebody has opened or closed stays so.
    for (const own of live.querySelectorAll("details[data-key]")) {
      const other = [...fresh.querySelectorAll("details[data-key]")].find((one) => one.dataset.key === own.dataset.key);
      if (other) other.open = own.open;
    }
    live.replaceChildren(...fresh.getElementById("live").childNodes);
    document.querySelector("header").replaceWith(fresh.querySelector("header"));
  } catch (error) {
    say("The page is old: " + error.message, true);
  } finally {
    busy = false;
  }
}

async function decide(button) {
  if (!confirm(button.dataset.ask)) return;
  button.disabled = true;
  const headers = { "content-type": "application/json" };
  try {
    const response = await fetch(button.dataset.path, { method: "POST", headers, body: button.dataset.body });
    const body = await response.json();
    if (!response.ok) throw new Error(body.error.hint ? body.error.message + " (" + body.error.hint + ")" : body.error.message);
    say("Done: version " + body.champion.version + " answers.", false);
  } catch (error) {
    say(error.message, true);
  }
  button.disabled = false;
  await look();
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-path]");
  if (button) decide(button);
});
setInterval(look, EVERY);
