// The technician's view: the whole kiosk, to look at. The same as `gatepost watch`.

import { request, button, el, otherLanguage, otherName, setLanguage, w } from "./page_kit.js";

const OLD_MS = 5000;
const AGAIN_MS = 2000;
const main = document.getElementById("main");
let last = null;
let atMs = 0;

const table = (heads, rows) => el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": w("devices") },
  el("table", {}, el("thead", {}, el("tr", {}, heads.map((code) => el("th", { scope: "col" }, w(code))))), el("tbody", {}, rows)));
const lines = (items) => el("ul", { class: "plain", lang: "en" }, items.map((item) => el("li", {}, item)));
const part = (code, ...children) => el("section", {}, el("h3", {}, w(code)), children);

function device(row) {
  const rate = row.rate === null ? "" : row.rate.toFixed(1);
  return el("tr", {}, el("th", { scope: "row" }, row.lane), [row.role, row.driver, row.items, rate].map((each) => el("td", {}, String(each))),
    el("td", { lang: row.up ? null : "en" }, row.up ? `✓ ${w("works")}` : `✗ ${row.text}`));
}

function draw() {
  if (!last) return;
  document.getElementById("who").textContent = `${last.title} · ${last.condition}`;
  main.replaceChildren(el("section", {},
    el("h2", {}, w("technician")), el("p", {}, w("read_only"), " ", el("a", { href: "/guard" }, w("title"))),
    el("p", { lang: "en" }, last.head), last.warnings.map((each) => el("p", { class: "problem", lang: "en" }, each)),
    part("faults", last.problems.length ? lines(last.problems) : el("p", {}, w("no_faults"))),
    part("lanes", lines(last.lanes)),
    part("devices", table(["lane", "device", "driver", "items", "rate", "state"], last.devices.map(device))),
    part("kiosk", el("dl", { lang: "en" }, last.facts.map(([name, text]) => [el("dt", {}, name), el("dd", {}, text)]))),
    part("log", lines(last.log))));
}

function follow() {
  const source = new EventSource("/technician/events");
  source.addEventListener("status", (event) => { last = JSON.parse(event.data); atMs = performance.now(); draw(); });
  source.addEventListener("over", () => { source.close(); location.href = "/guard"; });
  source.addEventListener("error", () => { if (source.readyState === EventSource.CLOSED) setTimeout(follow, AGAIN_MS); });
}

setInterval(() => {
  const isOld = last !== null && performance.now() - atMs > OLD_MS;
  const state = document.getElementById("state");
  if (isOld !== state.classList.contains("bad")) {
    state.classList.toggle("bad", isOld);
    state.textContent = isOld ? w("lost") : "";
  }
}, 500);

function words() {
  document.getElementById("title").textContent = w("kiosk");
  document.title = `Gatepost: ${w("technician")}`;
  language.textContent = otherName();
}
const language = button("", () => { setLanguage(otherLanguage()); words(); draw(); });
document.getElementById("tools").append(language);
document.getElementById("nav").remove();
setLanguage();
words();
const who = await request({ do: "who" });
if (who.staff) follow();
else location.href = "/guard";
