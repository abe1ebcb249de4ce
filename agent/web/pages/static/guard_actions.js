// What a guard does beyond one press: keypad, forms, cases, overrides. The agent decides; here it is asked.

import { request, button, choice, choicesOf, clock, closeDialogs, dialog, el, field, holdButton, inLanguage, message, t, w, why } from "./page_kit.js";

const STALE_MS = 2500; // without a view for so long no button does anything
const SECOND_MS = 2000;
const CASE_TRIES = 4;
export const seen = { view: null, atMs: 0 };
export const isStale = () => performance.now() - seen.atMs > STALE_MS;

// Of "all out": which exits are open, and why the others are not.
const shut = (answer) => Object.entries(answer.shut ?? {}).map(([lane, why]) => `${lane} (${t("refusal", why)})`).join(", ");
const opened = (answer) => (answer.opened?.length ? w("exits_opened", answer.opened.join(", ")) : "");

export function refuse(answer) {
  if (answer.refused === "card_changed") closeDialogs(); // the card below it is to be read
  message([t("refusal", answer.refused), shut(answer), opened(answer), answer.text].filter(Boolean).join(" "), true);
  if (answer.refused === "locked") unlock();
}

// One action, which follows from the view that is on the page. Whether it was done; what became of it is shown.
export async function action(said, about = "") {
  if (!seen.view || isStale()) return message(t("refusal", "too_late"), true);
  const answer = await request({ id: crypto.randomUUID(), at_s: seen.view.at_s, ...said });
  if (answer.refused) {
    refuse(answer);
    return null;
  }
  const became = answer.outcome ? `${t("outcome", answer.outcome)}. ${answer.reasons.map(why).join(" ")}` : w("done");
  answer.message = [about, became, opened(answer)].filter(Boolean).join(" ");
  message(answer.message);
  return answer;
}

// In a dialog: what was done is said on the page, what was refused stays in the dialog.
async function settled(said) {
  const answer = await action(said);
  if (answer) setTimeout(() => message(answer.message)); // once the dialog is closed
  return answer;
}

function unlock() {
  const [pin, label] = field(w("pin"), { type: "password", required: true });
  dialog(w("unlock"), [label], async () => {
    const answer = await request({ do: "unlock", pin: pin.value });
    if (answer.refused) message(t("refusal", answer.refused), true);
    return !answer.refused;
  });
}

// -- somebody who waits

function keypad(card) {
  const [celsius, label] = field(w("celsius"), { inputmode: "decimal", required: true, placeholder: "36.6", maxlength: 5 });
  const [instrument, instrumentLabel] = field(w("instrument"), { maxlength: 16, pattern: "[A-Za-z0-9]*", value: localStorage.getItem("instrument") });
  const digits = () => celsius.value.replace(/\D/g, "").slice(0, 3);
  const show = (typed) => { celsius.value = typed.length > 2 ? `${typed.slice(0, 2)}.${typed.slice(2)}` : typed; };
  celsius.addEventListener("input", () => show(digits()));
  const keys = [..."123456789", "0"].map((digit) => button(digit, () => show((digits() + digit).slice(0, 3))));
  const made = dialog(`${w("own_thermometer")}: ${w("person", card.lane, card.number)}`,
    [label, el("div", { class: "keypad" }, keys, button(w("clear"), () => show(""), { key: "clear" })), instrumentLabel],
    async () => {
      const tenths = digits().length === 3 ? Number(digits()) : 0;
      localStorage.setItem("instrument", instrument.value);
      const answer = await action({ do: "remeasure", lane: card.lane, number: card.number, tenths, instrument: instrument.value });
      if (!answer) return false;
      const limit = answer.threshold_c ? ` ${w("limit_after", `${answer.threshold_c.toFixed(1)} °C`)}` : "";
      setTimeout(() => message(`${celsius.value} °C: ${answer.message}${limit}`)); // after entry, so that nobody types to it
      return true;
    });
  celsius.focus();
  return made;
}

// A reason, perhaps a second person, and a press of a second.
export function reasoned(title, said) {
  const [reason, reasonLabel] = choice(w("reason"), choicesOf("override"));
  const [words, wordsLabel] = field(w("words"), { maxlength: 120 });
  const [who, whoLabel] = field(w("badge_number"), { maxlength: 16 });
  const [pin, pinLabel] = field(w("pin"), { type: "password" });
  const badge = el("p", {}, w("second_awaited"));
  const asks = seen.view.second_person;
  let timer = 0;
  let looked = Promise.resolve();
  const look = async () => {
    const answer = await request({ do: "second", for: said.do, lane: said.lane, number: said.number });
    badge.textContent = answer.seen ? w("second_seen", answer.seen) : w("second_awaited");
  };
  const begin = () => { if (asks) timer ||= setInterval(() => { looked = looked.then(look); }, SECOND_MS); };
  // Nothing asks for a badge behind the action that needed it: the next badge is a new shift.
  const end = () => { clearInterval(timer); timer = 0; return looked; };
  const send = async () => {
    if (!reason.value) return message(`${w("reason")}: ${w("required")}`, true);
    const second = who.value ? { staff: who.value, pin: pin.value } : { badge: true };
    await end();
    if (await settled({ ...said, reason: reason.value, words: words.value, ...(asks ? { second } : {}) })) made.close();
    else begin();
  };
  if (asks) looked = look();
  begin();
  const made = dialog(title, [
    reasonLabel, wordsLabel, seen.view.seals ? "" : el("p", {}, w("words_dropped")),
    asks ? el("fieldset", {}, el("legend", {}, w("second")), el("p", {}, w("second_badge"), ": "), badge, el("details", {}, el("summary", {}, w("second_pin")), whoLabel, pinLabel)) : "",
  ], null, { action: holdButton(w("hold"), send), onclose: async () => { await end(); if (asks) request({ do: "second", over: true }); } });
}

// Any form of the venue: its fields are data. With `card`, the person on it counts as recorded after it.
export function fill(form, card) {
  const inputs = form.fields.map((each) => {
    const title = inLanguage(each.title, each.name.replaceAll("_", " "));
    const words = inLanguage(each.choice_titles, each.choices);
    const made = each.choices.length
      ? choice(title, each.choices.map((code, index) => [code, words[index]]), { required: !each.optional })
      : field(title, { maxlength: 120, required: !each.optional });
    return [each.name, ...made];
  });
  const about = card ? `: ${w("person", card.lane, card.number)}` : "";
  const made = dialog(inLanguage(form.title, form.name) + about, [
    form.fields.some((each) => each.private) ? el("p", {}, w("private")) : "",
    inputs.map(([, , label]) => label),
  ], async () => {
    const answers = Object.fromEntries(inputs.map(([name, input]) => [name, input.value]));
    const kept = await settled({ do: "state", type: "form", form: form.name, answers, ...(card ? { lane: card.lane } : {}) });
    if (kept && card && form.records && !(await settled({ do: "attest", lane: card.lane, number: card.number, type: "record", value: "done" }))) {
      const refusal = made.querySelector(".message").textContent; // the form is kept, but nobody counts as recorded
      setTimeout(() => message(refusal, true));
    }
    return kept;
  });
}

const attest = (card, type, value) => action({ do: "attest", lane: card.lane, number: card.number, type, value }, w("person", card.lane, card.number));

// The number is of the moment when it was typed.
export function counted() {
  const [number, label] = field(w("people_inside"), { type: "number", inputmode: "numeric", min: 0, required: true });
  let at_s = null;
  number.addEventListener("input", () => { at_s = seen.view.at_s; });
  dialog(t("measure", "count"), [label], () => settled({ do: "state", type: "count", number: Number(number.value), at_s }));
}

function recordForm(card) {
  const form = seen.view.forms.find((each) => each.name === "visitor");
  return form ? fill(form, card) : message(t("refusal", "no_such_form"), true);
}

// As it is now: a card may have been drawn long ago, and a new case is in the ledger a moment before it is in the view.
export async function followCase(number) {
  for (let tries = 0; number && tries < CASE_TRIES; tries += 1) {
    const item = seen.view?.venue?.cases.find((each) => each.case === number);
    if (item) return follow(item);
    await new Promise((done) => setTimeout(done, 500));
  }
  return message(t("refusal", number ? "case_closed" : "no_such_case"), true);
}

export const MEASURES = {
  retest: (card) => action({ do: "retest", lane: card.lane, number: card.number }, w("person", card.lane, card.number)),
  temperature: keypad,
  mask: (card) => attest(card, "mask", "worn"),
  document: (card) => attest(card, "document", "seen"),
  travel: (card) => attest(card, "travel", "clear"),
  visitor: recordForm,
  paper: (card) => attest(card, "record", "paper"),
  case: (card) => followCase(card.case),
  count: counted,
  left: (card) => action({ do: "left", lane: card.lane, number: card.number }, w("person", card.lane, card.number)),
  override: (card) => reasoned(`${t("measure", "override")}: ${w("person", card.lane, card.number)}`, { do: "override", lane: card.lane, number: card.number, seen: card.reasons }),
};

// -- cases, roster

// 推送—比对—排查—反馈: each step by somebody, the last closes the case.
function follow(item) {
  const steps = choicesOf("step").filter(([step]) => step !== "answered").map(([step, name]) => {
    const mark = (who) => { made.textContent = who ? `✓ ${w("step_done", name, who)}` : name; };
    const made = button(name, async () => {
      if (await action({ do: "step", case: item.case, step })) mark(seen.view.you.staff);
    }, { key: step });
    mark(item.done[step]);
    return el("li", {}, made);
  });
  const [value, label] = choice(w("feedback"), choicesOf("feedback"));
  dialog(`${t("case", item.kind)} · ${item.case}`, [
    el("p", {}, item.overdue ? `⚠ ${w("overdue")} ` : `${w("left")}: `, item.left_s === null ? "?" : item.overdue ? clock(-item.left_s) : clock(item.left_s, true)),
    el("ol", { class: "steps" }, steps), label,
  ], () => settled({ do: "state", type: "feedback", case: item.case, value: value.value }), { label: t("step", "answered") });
}

// About somebody of the roster, by group and perhaps number: `absence` or `symptom`.
export function noted(type) {
  const groups = Object.keys(seen.view.venue.roster);
  const [group, groupLabel] = choice(w("group"), groups.map((name) => [name, name || "–"]), { value: groups.length === 1 ? groups[0] : "" });
  const [number, numberLabel] = field(w("roster_number"), { type: "number", inputmode: "numeric", min: 1 });
  const [value, valueLabel] = choice(w(type === "absence" ? "reason" : "symptom"), choicesOf(type));
  dialog(w(`note_${type}`), [groupLabel, numberLabel, valueLabel],
    () => settled({ do: "state", type, group: group.value, number: Number(number.value), value: value.value }));
}
