// What the pages of guards and technicians share: words, elements, requests, dialogs. It does nothing at the kiosk.

const HOLD_MS = 1000;
const SAID_MS = 12000;
const DRAFT_MS = 120000; // a draft is not left lying about
export const texts = await (await fetch("/guard/texts")).json();

// -- words: one language at a time, chosen on the page and remembered on the device

let language = localStorage.getItem("language") ?? (navigator.language.startsWith("zh") ? "zh" : "en");
const column = () => (language === "zh" ? 1 : 0);

export const t = (subject, code, ...values) =>
  (texts[subject]?.[code]?.[column()] ?? code).replace(/\{(\d)\}/g, (_, index) => values[index]);
export const why = (code) => t(texts.guard_reason[code] ? "guard_reason" : "reason", code);
export const w = (code, ...values) => t("page", code, ...values);
export const inLanguage = (titles, otherwise) => titles?.[language] ?? titles?.en ?? otherwise;

export function setLanguage(to = language) {
  language = to;
  localStorage.setItem("language", to);
  document.documentElement.lang = to === "zh" ? "zh-Hans" : "en";
}
export const otherLanguage = () => (language === "zh" ? "en" : "zh");
export const otherName = () => ({ en: "English", zh: "中文" })[otherLanguage()];

export function span(seconds) {
  const [s, min, h] = [Math.floor(seconds) % 60, Math.floor(seconds / 60) % 60, Math.floor(seconds / 3600)];
  const units = language === "zh" ? [" 秒", " 分", " 小时"] : [" s", " min", " h"];
  if (h) return `${h}${units[2]} ${min}${units[1]}`;
  return min ? `${min}${units[1]} ${s}${units[0]}` : `${s}${units[0]}`;
}

// -- elements

export function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(key, value);
  }
  made.append(...children.flat(9).filter((child) => child !== null && child !== undefined && child !== ""));
  return made;
}

// What is drawn again is another element with the same key.
export const keyed = (key, place = document) => [...place.querySelectorAll("[data-key]")].find((each) => each.dataset.key === key);

// Seconds that go on by themselves: up from `seconds`, or down to 0 of them.
export function clock(seconds, down = false) {
  const made = el("span", { class: "clock", "data-zero": performance.now() / 1000 + (down ? seconds : -seconds), "data-down": down });
  turn(made);
  return made;
}
function turn(made) {
  const passed = performance.now() / 1000 - Number(made.dataset.zero);
  made.textContent = span(Math.max(0, made.dataset.down === undefined ? passed : -passed));
}
setInterval(() => document.querySelectorAll(".clock").forEach(turn), 1000);

export const button = (label, does, { kind = "", key = label } = {}) =>
  el("button", { type: "button", class: kind, "data-key": key, onclick: does }, label);

export let isHeld = false; // nothing is drawn again under a finger
addEventListener("pointerdown", (event) => { isHeld = event.button === 0; });
for (const name of ["pointerup", "pointercancel", "blur"]) addEventListener(name, () => { isHeld = false; });

// Only a press of a whole second counts: by finger, mouse or key.
export function holdButton(label, does, key = label) {
  const made = el("button", { type: "button", class: "hold", "data-key": key }, label);
  let timer = 0;
  const end = () => { clearTimeout(timer); timer = 0; isHeld = false; made.classList.remove("held"); };
  const begin = () => {
    isHeld = true;
    made.classList.add("held");
    timer ||= setTimeout(() => { end(); does(); }, HOLD_MS);
  };
  made.addEventListener("pointerdown", begin);
  made.addEventListener("keydown", (event) => {
    if (event.key !== " " && event.key !== "Enter") return;
    event.preventDefault();
    if (!event.repeat) begin(); // a key that stays down is one press
  });
  for (const name of ["pointerup", "pointerleave", "pointercancel", "keyup", "blur"]) made.addEventListener(name, end);
  return made;
}

export function field(label, attributes = {}) {
  const input = el("input", { autocomplete: "off", ...attributes });
  return [input, el("label", {}, label, attributes.required ? el("span", { class: "must" }, ` (${w("required")})`) : "", input)];
}

// `choices`: [value, label] each; the first is nothing, so that nobody chooses by looking away.
export function choice(label, choices, { required = true, value = "" } = {}) {
  const select = el("select", { required }, el("option", { value: "" }, w("choose")), choices.map(([each, name]) => el("option", { value: each, selected: each === value }, name)));
  return [select, el("label", {}, label, select)];
}
export const choicesOf = (subject) => Object.keys(texts[subject]).map((code) => [code, t(subject, code)]);

// -- messages: in the dialog that is open, else in the head of the page

let fading = 0;
export function message(text, bad = false) {
  const open = [...document.querySelectorAll("dialog[open]")].at(-1);
  const place = open?.querySelector(".message") ?? document.getElementById("state");
  place.textContent = text;
  place.classList.toggle("bad", bad);
  clearTimeout(fading);
  if (!bad && place.id === "state") fading = setTimeout(() => { place.textContent = ""; }, SAID_MS);
}

// -- requests

export async function request(said) {
  try {
    const answer = await fetch("/guard/ask", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(said),
    });
    return answer.ok ? await answer.json() : { refused: "timeout" };
  } catch {
    return { refused: "timeout" };
  }
}

// -- dialogs: over the page, which goes on below; closed by Escape, by Back, and by themselves

export function dialog(title, children, submit = null, { label = w("ok"), action = null, onclose = null } = {}) {
  const head = el("h2", { id: `title-${document.querySelectorAll("dialog").length}` }, title);
  const first = submit ? el("button", { class: "first", "data-key": "ok" }, label) : action;
  const form = el("form", { novalidate: submit === null }, head, children, el("p", { class: "message", role: "status" }),
    el("div", { class: "row" }, first, button(w("back"), () => made.close(), { key: "back" })));
  const made = el("dialog", { "aria-labelledby": head.id }, form);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (!submit || made.dataset.busy) return;
    made.dataset.busy = "1";
    const isDone = await submit();
    delete made.dataset.busy;
    if (isDone) made.close();
  });
  const timer = setTimeout(() => made.close(), DRAFT_MS);
  const opener = document.activeElement?.dataset.key;
  made.addEventListener("close", () => {
    clearTimeout(timer);
    onclose?.();
    made.remove();
    if (document.activeElement === document.body) (keyed(opener) ?? document.querySelector("main h2"))?.focus();
  });
  document.body.append(made);
  made.showModal();
  return made;
}
export const closeDialogs = () => document.querySelectorAll("dialog").forEach((each) => each.close());
