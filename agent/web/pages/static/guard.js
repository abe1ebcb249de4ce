// The guard's page: shows what the agent says, and asks it. It decides nothing.

import { request, button, closeDialogs, el, field, isHeld, keyed, message, otherLanguage, otherName, setLanguage, t, w } from "./page_kit.js";
import { isStale, seen } from "./guard_actions.js";
import * as parts from "./guard_parts.js";

const AGAIN_MS = 2000;
const BADGE_TRIES = 30;
const TABS = ["waiting", "cases", "place", "lanes", "kiosk"];
const main = document.getElementById("main");
const nav = document.getElementById("nav");
let source = null;
let again = 0;
let sound = null;
let known = null; // who waited in the view before
let tab = "waiting";
const drawn = new Map(); // part → the view it was drawn from

// -- access

function access(title, labels, submit, { label = w("ok"), then = begin, more = "" } = {}) {
  drawn.clear();
  nav.replaceChildren();
  main.replaceChildren(el("form", { class: "access", onsubmit: async (event) => {
    event.preventDefault();
    const answer = await submit();
    if (answer.refused) message(t("refusal", answer.refused), true);
    else then();
  } }, el("h2", {}, title), labels, el("div", { class: "row" }, el("button", { class: "first" }, label), more)));
  main.querySelector("input, button").focus();
}

// The code on the screen leads here with its secret; without one, somebody with the right badge has it shown.
function pairing() {
  const secret = new URLSearchParams(location.hash.slice(1)).get("pair");
  if (!secret) {
    access(w("pair"), [el("p", {}, w("pair_how"))], () => request({ do: "await_pairing" }), { label: w("pair_badge"), then: () => message(w("pair_awaited")) });
    return;
  }
  const [number, label] = field(w("pair_number"), { inputmode: "numeric", required: true });
  access(w("pair"), [label], async () => {
    const answer = await request({ do: "pair", secret, number: number.value });
    if (!answer.refused) history.replaceState(null, "", location.pathname);
    return answer;
  });
}
addEventListener("hashchange", () => begin()); // the code was scanned into the page that is open already

function login() {
  const [who, whoLabel] = field(w("badge_number"), { required: true });
  const [pin, pinLabel] = field(w("pin"), { type: "password", required: true });
  access(w("login"), [whoLabel, pinLabel], () => request({ do: "login", staff: who.value, pin: pin.value }), { more: button(w("by_badge"), byBadge) });
}

async function byBadge() {
  message(t("refusal", "badge_awaited"));
  for (let tries = 0; tries < BADGE_TRIES; tries += 1) {
    const answer = await request({ do: "badge" });
    if (answer.staff) return begin();
    if (answer.refused) return message(t("refusal", answer.refused), true);
    await new Promise((done) => setTimeout(done, 1000));
  }
}

// -- what is seen

const counts = (view) => ({
  waiting: view.waiting.length,
  cases: view.venue?.cases.length ?? 0,
  kiosk: view.faults.length + (view.handed_by && view.on_duty === view.you.staff ? 1 : 0),
  lanes: view.lanes.filter((lane) => lane.closed || lane.shut || lane.down.length).length,
});

function choose(name) {
  tab = name;
  areas.clear(); // the guard has moved all of them
  draw();
  main.querySelector(`#${name} h2`)?.focus();
}

// Draw a part again when what it shows has changed; the focus stays where it was.
function show(place, name, what, make) {
  const key = JSON.stringify([what, document.documentElement.lang]);
  if (drawn.get(name) === key || (isHeld && drawn.has(name))) return;
  drawn.set(name, key);
  const focused = place.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  place.replaceChildren(...[make()].flat(9).filter(Boolean));
  if (focused) (keyed(focused, place) ?? place.querySelector("h2"))?.focus();
}

// Times go on by themselves: of them only what is to be drawn again counts. null is no time at all.
const whole = (seconds, unit_s) => (seconds === null ? null : Math.round(seconds / unit_s));
const steady = (card) => ({ ...card, ago_s: 0, rest_s: whole(card.rest_s, Infinity) });
const steadyCase = (item) => ({ ...item, age_s: 0, left_s: whole(item.left_s, Infinity) });

function draw() {
  const view = seen.view;
  if (!view) return;
  if (!main.querySelector("#waiting")) {
    main.replaceChildren(el("div", { id: "top" }), ...TABS.map((name) => el("section", { id: name, class: "tab" })));
  }
  main.dataset.tab = tab;
  const number = counts(view);
  const places = Object.fromEntries(TABS.map((name) => [name, main.querySelector(`#${name}`)]));
  show(nav, "nav", [number, tab], () => TABS.map((name) =>
    el("button", { type: "button", "data-key": name, "aria-current": name === tab ? "page" : null, onclick: () => choose(name) }, w(name), number[name] ? el("b", {}, ` ${number[name]}`) : "")));
  show(main.querySelector("#top"), "top", [view.handed_by, view.on_duty, view.venue?.cases.length, view.faults], () => parts.handover(view));
  show(places.waiting, "waiting", view.waiting.map(steady), () => parts.waiting(view));
  const cases = (view.venue?.cases ?? []).map(steadyCase);
  show(places.cases, "cases", cases, () => parts.cases(view));
  const venue = view.venue && { ...view.venue, cases: null, duties: Object.entries(view.venue.duties).map(([name, age]) => [name, whole(age, 60)]), report: { ...view.venue.report, powered_s: 0 } };
  show(places.place, "place", [venue, view.forms], () => parts.place(view));
  show(places.lanes, "lanes", [view.lanes, view.passages.map((each) => [each.at_s, whole(each.ago_s, 10)])], () => parts.lanes(view));
  const lists = view.lists.map((each) => [each.name, each.fault, whole(each.age_s, 60)]);
  show(places.kiosk, "kiosk", [view.on_duty, view.faults, view.online, view.waiting_events, lists, view.you.may], () => parts.kiosk(view, begin));
  document.getElementById("who").textContent = `${view.kiosk} · ${view.you.staff} (${t("role", view.you.role)})`;
  trackMoves();
}

// -- a tap is meant for what has lain there. A card that comes in or goes moves all others, also under a finger; one that
// goes below makes the page shorter, and the browser may scroll it. Where the page is not shorter, the guard has scrolled.
// A button that means something else now is another: a colleague may just have closed the lane.

const TRACKED = "#waiting button, #lanes button";
const LAIN_MS = 600;
const LOOK_MS = 100;
const areas = new Map(); // tracked button → its area on the screen
const vacated = []; // areas where one lay until a moment ago
let heightBefore = 0;
let scrollBefore = 0;

function trackMoves() {
  const now = performance.now();
  const height = document.documentElement.scrollHeight;
  const byGuard = height >= heightBefore ? scrollY - scrollBefore : 0;
  heightBefore = height;
  scrollBefore = scrollY;
  const buttons = new Map([...main.querySelectorAll(TRACKED)].map((each) => [each.dataset.key, each.getBoundingClientRect()]));
  for (const [key, area] of areas) {
    const place = buttons.get(key);
    const isThere = place && Math.abs(place.top + byGuard - area.top) < 1 && Math.abs(place.left - area.left) < 1;
    if (!isThere) vacated.push({ key, area, untilMs: now });
  }
  areas.clear();
  for (const [key, area] of buttons) areas.set(key, area);
  while (vacated.length && now - vacated[0].untilMs >= LAIN_MS) vacated.shift();
  main.classList.toggle("moved", vacated.length > 0);
}
setInterval(trackMoves, LOOK_MS);
main.addEventListener("toggle", trackMoves, true);

main.addEventListener("click", (event) => {
  const pressed = event.target.closest(TRACKED);
  if (!pressed || !event.detail) return; // by keyboard: the focus has stayed with its button
  trackMoves();
  const isIn = ({ left, right, top, bottom }) => left <= event.clientX && event.clientX <= right && top <= event.clientY && event.clientY <= bottom;
  if (!vacated.some(({ key, area }) => key !== pressed.dataset.key && isIn(area))) return;
  event.stopPropagation();
  event.preventDefault();
  message(w("moved"), true);
}, true);

// -- a sound for each new card; a browser lets it be made once somebody has touched the page. Its button goes after the
// click and not as the finger comes down: what moves up in its place would not be where the finger is lifted.

const soundButton = button("", () => sound?.resume(), { key: "sound" });
function wake() {
  try {
    sound ??= new AudioContext();
    sound.onstatechange = sounds;
    if (sound.state === "suspended") sound.resume();
  } catch { /* no sound here: the card is shown */ }
  sounds();
}
const sounds = () => { soundButton.hidden = sound?.state === "running"; };
for (const name of ["click", "keydown"]) addEventListener(name, wake, { once: true });

function ring() {
  if (sound?.state !== "running") return;
  const tone = sound.createOscillator();
  tone.frequency.value = 880;
  tone.connect(sound.destination);
  tone.start();
  tone.stop(sound.currentTime + 0.25);
}

function announce(view) {
  const now = new Set(view.waiting.map((card) => `${card.lane} ${card.number}`));
  const fresh = view.waiting.filter((card) => !known?.has(`${card.lane} ${card.number}`));
  if (fresh.length) ring();
  if (fresh.length && known) message(w("new_card", fresh[0].lane, fresh[0].number));
  known = now;
}

// -- the stream

function watchView() {
  source?.close();
  clearTimeout(again);
  source = new EventSource("/guard/events");
  source.addEventListener("view", (event) => {
    const wasStale = seen.view && isStale();
    seen.view = JSON.parse(event.data);
    seen.atMs = performance.now();
    if (wasStale) { message(""); usable(); }
    announce(seen.view);
    draw();
  });
  source.addEventListener("over", begin);
  source.addEventListener("error", () => {
    // refused, as when too many pages look: unlike a broken connection, the browser does not try again by itself
    if (source.readyState !== EventSource.CLOSED) return;
    if (!seen.view) message(w("too_many"), true);
    again = setTimeout(watchView, AGAIN_MS);
  });
}

function usable() {
  const stale = Boolean(seen.view) && isStale();
  if (stale) message(w("lost"), true);
  document.body.classList.toggle("stale", stale);
  for (const each of document.querySelectorAll("main button, dialog button, dialog .first")) each.disabled = stale && each.dataset.key !== "back";
}
setInterval(usable, 500);

async function begin() {
  source?.close();
  clearTimeout(again);
  closeDialogs();
  seen.view = null; known = null; tab = "waiting"; drawn.clear();
  message("");
  document.getElementById("who").textContent = "";
  const who = await request({ do: "who" });
  if (who.refused) { message(t("refusal", who.refused), true); setTimeout(begin, AGAIN_MS); return; }
  if (!who.paired) pairing();
  else if (!who.staff) login();
  else { main.replaceChildren(); watchView(); }
}

function words() {
  document.getElementById("title").textContent = w("title");
  document.title = `Gatepost: ${w("title")}`;
  nav.setAttribute("aria-label", w("parts"));
  languageButton.textContent = otherName();
  soundButton.textContent = w("sound");
}
const languageButton = button("", () => {
  setLanguage(otherLanguage());
  message("");
  words();
  if (seen.view) draw();
  else begin();
}, { key: "language" });
document.getElementById("tools").append(soundButton, languageButton);
setLanguage();
words();
sounds();
begin();
