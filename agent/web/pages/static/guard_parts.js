// The parts of the guard's page, drawn from the view that the agent gives.

import { request, button, clock, el, holdButton, inLanguage, message, span, t, w, why } from "./page_kit.js";
import { MEASURES, counted, action, fill, followCase, noted, reasoned } from "./guard_actions.js";

const SIGNS = { admit: "✓", admit_with_notice: "✓!", refer: "?", refuse: "✗" };
const celsius = (value) => `${value.toFixed(1)} °C`;
const row = (...children) => el("div", { class: "row" }, children);
const cards = (items, nothing) => (items.length ? el("ul", { class: "cards" }, items) : el("p", {}, nothing));
const part = (title, ...children) => el("section", {}, el("h3", {}, title), children);

// What was unfolded is so when it is drawn again. Known from the click: "toggle" comes later, also after it was drawn again.
const unfolded = new Set();
function foldable(key, summary, ...children) {
  const details = el("details", { open: unfolded.has(key) },
    el("summary", { "data-key": key, onclick: () => unfolded[details.open ? "delete" : "add"](key) }, summary), children);
  return details;
}

// -- who waits

function measure(card, code, kind = "") {
  return button(t("measure", code), () => MEASURES[code](card), { kind, key: `${card.lane} ${card.number} ${code}` });
}

function measured(card) {
  if (card.surface_c === null) return "";
  const attempts = (card.attempts_c.length ? card.attempts_c : [card.surface_c]).map(celsius).join(" → ");
  return el("p", {}, w("measured", attempts), card.threshold_c === null ? "" : ` (${w("limit", celsius(card.threshold_c))})`);
}

function person(card, view) {
  const inVenue = view.venue ? ["visitor", "paper", "document", "travel"] : ["document"];
  const more = ["temperature", "retest", "mask", ...inVenue, ...(card.case ? ["case"] : []), "left", ...(card.may_override ? ["override"] : [])];
  const name = `${card.lane} ${card.number}`;
  return el("li", { class: `card ${card.outcome}`, "data-card": name },
    el("h3", {}, el("span", { class: "sign", "aria-hidden": "true" }, SIGNS[card.outcome]), w("person", card.lane, card.number),
      el("span", { class: "meta" }, w("since"), " ", clock(card.ago_s))),
    el("p", { class: "why" }, el("strong", {}, t("outcome", card.outcome)), " · ", card.reasons.map(why).join(" ")),
    card.with_code ? "" : el("p", {}, w("no_code_shown")),
    measured(card),
    card.rest_s === null ? "" : el("p", {}, w("rests"), " ", clock(card.rest_s, true)),
    el("p", { class: "change" }, t("change", card.change)),
    row(measure(card, card.measure, "first")),
    foldable(`${name} more`, w("other_measures"),
      row(more.filter((code) => code !== card.measure).map((code) => measure(card, code)))));
}

export const waiting = (view) => [
  el("h2", { tabindex: "-1", "data-key": "h2" }, `${w("waiting")}: ${view.waiting.length}`),
  cards(view.waiting.map((card) => person(card, view)), w("nobody_waits")),
];

// -- cases

function caseCard(item) {
  const done = Object.keys(item.done);
  return el("li", { class: `card ${item.overdue ? "refuse" : "refer"}` },
    el("h3", {}, `${t("case", item.kind)} · ${item.case}`, item.drill ? ` · ${w("drill")}` : "", item.lane ? el("span", { class: "meta" }, item.lane) : ""),
    el("p", {}, item.overdue ? el("strong", {}, "⚠ ", w("overdue"), " ") : `${w("left")}: `, item.left_s === null ? "?" : item.overdue ? clock(-item.left_s) : clock(item.left_s, true)),
    el("p", {}, w("owner", item.owner || w("nobody")), done.length ? ` · ✓ ${done.map((step) => t("step", step)).join(" ✓ ")}` : ""),
    row(button(w("follow"), () => followCase(item.case), { kind: "first", key: `follow ${item.case}` })));
}

export const cases = (view) => [el("h2", { tabindex: "-1", "data-key": "h2" }, `${w("cases")}: ${view.venue?.cases.length ?? 0}`), cards((view.venue?.cases ?? []).map(caseCard), w("no_cases"))];

// -- the place: inside, roster, rounds, duties, forms

function inside(room) {
  const problem = { full: "full", unknown: "unknown_room" }[room.room];
  return part(room.capacity === null ? w("inside", room.inside) : w("inside_of", room.inside, room.capacity),
    problem ? el("p", { class: "problem" }, w(problem)) : "",
    room.unheard.length ? el("p", { class: "problem" }, w("unheard", room.unheard.join(", "))) : "", el("p", {}, w("today", room.came)), row(button(w("correct"), counted, { key: "correct" })));
}

function roster(venue) {
  if (!venue.roster) return part(w("roster"), el("p", {}, w("no_roster")));
  const going = venue.attendance.groups ?? {};
  const cell = (value) => el("td", {}, value ?? "–");
  const rows = Object.entries(venue.roster).map(([name, { people, excused }]) =>
    el("tr", {}, el("th", { scope: "row" }, name || "–"), cell(going[name]?.expected ?? people), cell(going[name]?.checked), cell(going[name]?.absent), cell(excused)));
  const missing = venue.attendance.absent_numbers ?? [];
  return part(venue.attendance.round ? `${w("roster")}: ${venue.attendance.round}` : w("roster"),
    el("div", { class: "scroll", tabindex: "0", role: "region", "data-key": "roster", "aria-label": w("roster") }, el("table", {}, el("thead", {}, el("tr", {}, ["group", "expected", "checked", "absent", "excused"].map((code) => el("th", { scope: "col" }, w(code))))), el("tbody", {}, rows))),
    missing.length ? el("p", {}, w("absent_numbers", missing.join(", "))) : "",
    row(["absence", "symptom"].map((type) => button(w(`note_${type}`), () => noted(type), { key: type }))));
}

function rounds(venue) {
  const items = venue.rounds.map((each) => el("li", {}, `${each.name} ${each.from}–${each.until}: `, t("round", each.state)));
  const day = venue.report;
  return part(w("rounds"), items.length ? el("ul", { class: "plain" }, items) : "", el("p", {}, w("day_report")),
    day ? el("p", {}, w("so_far", day.came, day.left, day.cases.opened, day.cases.answered)) : "");
}

function duties(venue) {
  const names = Object.keys(venue.duties);
  if (!names.length) return "";
  return part(w("duties"), el("ul", { class: "cards" }, names.map((name) => {
    const age = venue.duties[name];
    const isDue = age === null || age > venue.duty_hours[name] * 3600;
    return el("li", { class: `card ${isDue ? "refer" : ""}` }, el("h4", {}, name, isDue ? ` · ${w("due")}` : ""),
      el("p", {}, w("every", venue.duty_hours[name]), " · ", age !== null ? w("last_done", span(age)) : w(venue.report ? "not_done" : "duty_unknown")),
      row(button(w("duty_done", name), () => action({ do: "state", type: "duty", value: name }), { key: `duty ${name}` })));
  })));
}

const forms = (view) => part(w("forms"), row(view.forms.map((form) => button(inLanguage(form.title, form.name), () => fill(form, null), { key: `form ${form.name}` }))));

export function place(view) {
  const title = el("h2", { tabindex: "-1", "data-key": "h2" }, w("place"));
  if (!view.venue) return [title, el("p", {}, w("no_venue"))];
  return [title, inside(view.venue.occupancy), roster(view.venue), rounds(view.venue), duties(view.venue), forms(view)];
}

// -- lanes

function lane(each) {
  const isExit = each.direction === "exit";
  const turn = each.closed ? "reopen" : "close";
  return el("li", { class: `card ${each.closed || each.shut || each.down.length ? "refer" : ""}` },
    el("h3", {}, `${each.lane} · ${w(each.closed ? "is_closed" : each.shut ? "is_shut" : "is_open")}`), each.down.length ? el("p", { class: "problem" }, w("down", each.down.map((role) => t("part", role)).join(", "))) : "",
    row(isExit ? "" : button(w(turn), () => action({ do: turn, lane: each.lane }, each.lane), { key: `${turn} ${each.lane}` }),
      each.gate ? button(w("open_once"), () => reasoned(`${w("open_once")}: ${each.lane}`, { do: "open", lane: each.lane }), { key: `open ${each.lane}` }) : ""));
}

const passage = (each) => el("li", {}, `${SIGNS[each.outcome]} ${each.lane} · ${t("outcome", each.outcome)} · `, w("ago", span(each.ago_s)));

export const lanes = (view) => [
  el("h2", { tabindex: "-1", "data-key": "h2" }, w("lanes")), el("ul", { class: "cards" }, view.lanes.map(lane)),
  row(holdButton(w("all_out"), () => action({ do: "all_out" }), "all out")),
  part(w("passages"), el("ul", { class: "plain" }, view.passages.slice(0, 10).map(passage))),
];

// -- the kiosk: shift, faults, lists, tablets

export function handover(view) {
  if (!view.handed_by || view.on_duty !== view.you.staff) return "";
  const open = view.venue?.cases ?? [];
  return el("div", { class: "card refer" }, el("p", {}, w("handover", view.handed_by)),
    foldable("handed", w("handed", open.length, view.faults.length),
      el("ul", { class: "plain" }, open.map((item) => el("li", {}, `${t("case", item.kind)} · ${item.case}`)), view.faults.map((each) => el("li", {}, fault(each))))),
    row(button(w("accept"), () => action({ do: "accept" }), { kind: "first", key: "accept" })));
}

const fault = (each) => `${each.part} · ${t("problem", each.code)}`;

async function connect() {
  const answer = await action({ do: "pair" });
  if (answer) message(w("number_shown", answer.seconds));
}

export const kiosk = (view, logout) => [
  el("h2", { tabindex: "-1", "data-key": "h2" }, w("kiosk")),
  part(w("shift"), el("p", {}, w("on_duty", view.on_duty || w("nobody"))), el("p", {}, w("take_over"))),
  part(w("faults"), cards(view.faults.map((each) => el("li", { class: "card refer" }, el("h4", {}, fault(each)), el("p", { lang: "en" }, each.text))), w("no_faults"))),
  part(w("lists"), el("p", {}, w(view.online ? "online" : "offline"), view.waiting_events ? ` ${w("events_wait", view.waiting_events)}` : ""),
    el("ul", { class: "plain" }, view.lists.map((each) => el("li", {}, `${each.fault ? "✗" : "✓"} ${each.name}: `, each.age_s === null ? w("age_unknown") : w("age", span(each.age_s)))))),
  el("p", {}, el("a", { href: "/technician", "data-key": "technician" }, w("technician"))),
  view.you.may.includes("pair") ? part(w("tablets"), row(button(w("connect_tablet"), connect, { key: "pair" }), holdButton(w("end_tablets"), () => action({ do: "unpair" }), "unpair"))) : "",
  row(button(w("logout"), () => request({ do: "logout" }).then(logout), { key: "logout" })),
];
