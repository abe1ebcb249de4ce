// The guard's page: shows what the agent says, and asks it. It decides nothing.

const STALE_MS = 2500; // without a view for so long no button does anything
const HOLD_MS = 1000;
const AGAIN_MS = 2000;
const main = document.getElementById("main");
const state = document.getElementById("state");
const texts = await (await fetch("/guard/texts")).json();
let view = null;
let viewedAt = 0;
let known = new Set();
let drawn = "";
let source = null;
let sound = null;
let draft = 0;
let isHeld = false; // nothing is drawn again under a finger

function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value !== null) made.setAttribute(key, value);
  }
  made.append(...children.flat());
  return made;
}

// Both languages, equal in size.
const both = (en, zh) => [el("span", { lang: "en" }, en), " ", el("span", { lang: "zh-Hans" }, zh)];
const word = (subject, code) => both(...(texts[subject]?.[code] ?? [code, ""]));

function tell(parts, bad = false) {
  state.replaceChildren(...parts);
  state.className = bad ? "bad" : "";
}

async function ask(said) {
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

const isStale = () => performance.now() - viewedAt > STALE_MS;

async function deed(said) {
  if (!view || isStale()) return tell(word("refusal", "too_late"), true);
  const answer = await ask({ id: crypto.randomUUID(), at_s: view.at_s, ...said });
  if (answer.refused) {
    tell(word("refusal", answer.refused), true);
    if (answer.refused === "locked") unlock();
  } else if (answer.outcome) {
    tell([...word("outcome", answer.outcome), " ", ...answer.reasons.flatMap((code) => word("reason", code))]);
  } else tell(both("Done.", "已完成。"));
  return answer;
}

// Back to what is seen once it is done; what was refused stays on the page.
async function settle(said) {
  const answer = await deed(said);
  if (answer && !answer.refused) back();
}

function button(parts, does, kind = "") {
  return el("button", { type: "button", class: kind, onclick: does }, parts);
}

// Only a press of a whole second counts: by finger, mouse or key.
function holdButton(parts, does) {
  const made = el("button", { type: "button", class: "hold" }, parts);
  let timer = 0;
  const begin = () => { isHeld = true; timer ||= setTimeout(() => { end(); does(); }, HOLD_MS); };
  const end = () => { clearTimeout(timer); timer = 0; isHeld = false; };
  made.addEventListener("pointerdown", begin);
  made.addEventListener("keydown", (event) => {
    if (event.key !== " " && event.key !== "Enter") return;
    event.preventDefault();
    if (!event.repeat) begin(); // a key that stays down is one press
  });
  for (const name of ["pointerup", "pointerleave", "pointercancel", "keyup", "blur"]) made.addEventListener(name, end);
  return made;
}

function field(parts, attributes) {
  const input = el("input", { autocomplete: "off", ...attributes });
  return [input, el("label", {}, parts, input)];
}

function choice(parts, subject, codes) {
  const select = el("select", {}, codes.map((code) => el("option", { value: code }, (texts[subject]?.[code] ?? [code]).join(" "))));
  return [select, el("label", {}, parts, select)];
}

function form(title, children, submit) {
  clearTimeout(draft);
  drawn = "form";
  main.replaceChildren(
    el("form", { onsubmit: (event) => { event.preventDefault(); submit(); } }, el("h2", {}, title), children,
      el("div", { class: "row" }, el("button", { class: "first" }, both("OK", "确定")), button(both("Back", "返回"), back))),
  );
  main.querySelector("input, select, button").focus();
}

function back() { clearTimeout(draft); drawn = ""; draw(); }

// -- access

function pairing() {
  const secret = new URLSearchParams(location.hash.slice(1)).get("pair") ?? "";
  const [number, label] = field(both("Number on the kiosk", "本机显示的数字"), { inputmode: "numeric", required: true });
  form(both("Connect this device", "连接此设备"), [label], async () => {
    const answer = await ask({ do: "pair", secret, number: number.value });
    history.replaceState(null, "", location.pathname);
    answer.refused ? tell(word("refusal", answer.refused), true) : begin();
  });
}

function login() {
  const [who, whoLabel] = field(both("Badge number", "工牌编号"), { required: true });
  const [pin, pinLabel] = field(both("PIN", "密码"), { type: "password", required: true });
  form(both("Log in", "登录"), [whoLabel, pinLabel, el("div", { class: "row" }, button(both("By badge at the scanner", "在扫码口出示工牌"), byBadge))], async () => {
    const answer = await ask({ do: "login", staff: who.value, pin: pin.value });
    answer.refused ? tell(word("refusal", answer.refused), true) : begin();
  });
}

async function byBadge() {
  tell(word("refusal", "badge_awaited"));
  for (let tries = 0; tries < 30; tries += 1) {
    const answer = await ask({ do: "badge" });
    if (answer.staff) return begin();
    if (answer.refused) return tell(word("refusal", answer.refused), true);
    await new Promise((done) => setTimeout(done, 1000));
  }
}

function unlock() {
  const [pin, label] = field(both("PIN", "密码"), { type: "password", required: true });
  form(both("Unlock", "解锁"), [label], async () => {
    const answer = await ask({ do: "unlock", pin: pin.value });
    answer.refused ? tell(word("refusal", answer.refused), true) : back();
  });
}

// -- deeds that ask for more

function keypad(card) {
  const [celsius, label] = field(both("Temperature, °C", "体温（℃）"), { inputmode: "decimal", pattern: "[34][0-9][.,][0-9]", placeholder: "36.6", required: true });
  form([...both("Staff's thermometer: person", "人工测温："), ` ${card.number}`], [label], async () => {
    const tenths = Math.round(Number(celsius.value.replace(",", ".")) * 10);
    await settle({ do: "remeasure", lane: card.lane, number: card.number, tenths });
  });
}

function reasoned(title, said) {
  const [reason, reasonLabel] = choice(both("Reason", "原因"), "override", Object.keys(texts.override));
  const [words, wordsLabel] = field(both("Words", "说明"), { maxlength: 120 });
  const [who, whoLabel] = field(both("Second person: badge number (empty: badge at the scanner)", "第二人工牌编号（空：扫码口出示工牌）"), {});
  const [pin, pinLabel] = field(both("Second person: PIN", "第二人密码"), { type: "password" });
  const asks = view.second_person ? [whoLabel, pinLabel] : [];
  const send = async () => {
    const second = who.value ? { staff: who.value, pin: pin.value } : { badge: true };
    await settle({ ...said, reason: reason.value, words: words.value, ...(view.second_person ? { second } : {}) });
  };
  drawn = "form";
  main.replaceChildren(el("h2", {}, title), reasonLabel, wordsLabel, ...asks,
    el("div", { class: "row" }, holdButton(both("Hold one second", "按住一秒"), send), button(both("Back", "返回"), back)));
  reason.focus();
}

function fill(made, card) {
  const inputs = made.fields.map((each) => {
    const title = both(each.name.replaceAll("_", " ") + (each.optional ? "" : " *"), "");
    return [each.name, ...(each.choices.length ? choice(title, "", each.choices) : field(title, { maxlength: 120, required: !each.optional }))];
  });
  form(both(made.title.en, made.title.zh), inputs.map(([, , label]) => label), async () => {
    const answers = Object.fromEntries(inputs.map(([name, input]) => [name, input.value]));
    const answer = await deed({ do: "state", type: "form", form: made.name, answers });
    if (!answer || answer.refused) return;
    if (card) await deed({ do: "attest", lane: card.lane, number: card.number, type: "record", value: "done" });
    back();
  });
  draft = setTimeout(back, 120000); // a draft is not left lying about
}

function follow(item) {
  const [value, label] = choice(both("Feedback", "反馈"), "feedback", Object.keys(texts.feedback));
  const steps = Object.keys(texts.step).filter((step) => step !== "answered");
  form([...word("case", item.kind), ` ${item.case}`],
    [el("div", { class: "row" }, steps.map((step) => button([...word("step", step), item.done[step] ? ` ✓ ${item.done[step]}` : ""], () => settle({ do: "step", case: item.case, step })))), label],
    () => settle({ do: "state", type: "feedback", case: item.case, value: value.value }));
}

// What a button is about may be gone, or never have been.
const found = (item, refusal, does) => (item ? does(item) : tell(word("refusal", refusal), true));

function measure(card, code) {
  const about = { lane: card.lane, number: card.number };
  const does = {
    retest: () => deed({ do: "retest", lane: card.lane }),
    temperature: () => keypad(card),
    mask: () => deed({ do: "attest", ...about, type: "mask", value: "worn" }),
    document: () => deed({ do: "attest", ...about, type: "document", value: "seen" }),
    travel: () => deed({ do: "attest", ...about, type: "travel", value: "clear" }),
    visitor: () => found(view.forms.find((each) => each.name === "visitor"), "no_such_form", (made) => fill(made, card)),
    case: () => found(view.venue?.cases.find((each) => each.case === card.case), card.case ? "case_closed" : "no_such_case", follow),
    count: () => counted(),
    left: () => deed({ do: "left", ...about }),
    override: () => reasoned(word("measure", "override"), { do: "override", ...about }),
  };
  return button(word("measure", code), does[code], code === card.measure ? "first" : "");
}

function counted() {
  const [number, label] = field(both("People inside", "场内人数"), { type: "number", min: 0, required: true });
  form(both("Head count", "清点人数"), [label], () => settle({ do: "state", type: "count", number: Number(number.value) }));
}

// -- what is seen

function cardOf(card) {
  const more = ["temperature", "retest", ...(view.venue ? ["mask", "visitor"] : ["mask"]), "left", ...(card.may_override ? ["override"] : [])].filter((code) => code !== card.measure);
  return el("li", { class: "card" },
    el("h3", {}, `${card.lane} ${card.number} · ${Math.round(card.ago_s)} s · `, word("outcome", card.outcome)),
    el("p", {}, card.reasons.flatMap((code) => [...word("reason", code), " "])),
    card.surface_c === null ? "" : el("p", {}, `${card.surface_c.toFixed(1)} °C (≤ ${card.threshold_c?.toFixed(1) ?? "?"}) · ${card.attempt}`),
    card.rest_s === null ? "" : el("p", {}, both(`Rests for ${card.rest_s} s more.`, `还需休息 ${card.rest_s} 秒。`)),
    el("p", {}, word("change", card.change)),
    el("div", { class: "row" }, measure(card, card.measure), more.map((code) => measure(card, code))));
}

function laneOf(lane) {
  const said = lane.closed ? both("closed", "已关闭") : both("open", "开放");
  const isExit = lane.direction === "exit";
  return el("li", { class: "card" }, el("h3", {}, `${lane.lane} · `, said), lane.down.length ? el("p", {}, `✗ ${lane.down.join(", ")}`) : "",
    el("div", { class: "row" },
      isExit ? "" : button(lane.closed ? both("Reopen", "开放") : both("Close", "关闭"), () => deed({ do: lane.closed ? "reopen" : "close", lane: lane.lane })),
      lane.gate ? button(both("Open once", "开一次"), () => reasoned([...both("Open once:", "开一次："), ` ${lane.lane}`], { do: "open", lane: lane.lane })) : ""));
}

function section(title, items) {
  return items.length ? [el("h2", {}, title), el("ul", { class: "cards" }, items)] : [];
}

function draw() {
  if (!view || drawn === "form") return;
  const focus = document.activeElement?.textContent;
  const room = view.venue?.occupancy;
  main.replaceChildren(
    ...(view.handed_by ? [el("div", { class: "row" }, button(both(`Accept the shift from ${view.handed_by}`, `接班：${view.handed_by}`), () => deed({ do: "accept" }), "first"))] : []),
    el("h2", {}, both(`Waiting: ${view.waiting.length}`, `等候：${view.waiting.length}`)),
    el("ul", { class: "cards" }, view.waiting.map(cardOf)),
    ...section(both("Cases", "事件"), (view.venue?.cases ?? []).map((item) => el("li", { class: "card" }, el("h3", {}, word("case", item.kind), ` ${item.case} ${item.overdue ? "⚠" : ""}`), el("p", {}, `${item.owner} ${Object.keys(item.done).length}/4`), el("div", { class: "row" }, button(both("Follow", "处置"), () => follow(item), "first"))))),
    ...section(both("Lanes", "通道"), view.lanes.map(laneOf)),
    el("div", { class: "row" }, holdButton(both("All out: open the exits", "全部放出：打开出口"), () => deed({ do: "all_out" }))),
    ...(room ? [el("h2", {}, both(`Inside: ${room.inside} of ${room.capacity ?? "–"}`, `场内：${room.inside} / ${room.capacity ?? "–"}`)), el("div", { class: "row" }, button(both("Correct", "更正"), counted))] : []),
    ...section(both("Forms", "登记表"), view.forms.map((made) => el("li", {}, button(both(made.title.en, made.title.zh), () => fill(made, null))))),
    ...section(both("Faults", "故障"), view.faults.map((each) => el("li", { class: "card" }, `${each.part}: ${each.text}`))),
    ...section(both("Last passages", "最近通行"), view.passages.slice(0, 8).map((each) => el("li", { class: "card" }, `${each.lane} · ${each.ago_s} s · `, word("outcome", each.outcome)))),
    ...(view.you.may.includes("pair") ? [el("h2", {}, both("Tablets", "平板")), el("div", { class: "row" },
      button(both("Connect a tablet", "连接平板"), () => deed({ do: "pair" })),
      holdButton(both("End all tablets", "断开全部平板"), () => deed({ do: "unpair" })))] : []),
    el("div", { class: "row" }, button(both("Log out", "退出"), () => ask({ do: "logout" }).then(begin))),
  );
  if (focus) [...main.querySelectorAll("button")].find((each) => each.textContent === focus)?.focus();
}

function ring() {
  try {
    sound ??= new AudioContext();
    const tone = sound.createOscillator();
    tone.connect(sound.destination);
    tone.start();
    tone.stop(sound.currentTime + 0.25);
  } catch { /* no sound here: the card is shown */ }
}

function watchView() {
  source?.close();
  source = new EventSource("/guard/events");
  source.addEventListener("view", (event) => {
    const wasStale = isStale();
    view = JSON.parse(event.data);
    viewedAt = performance.now();
    const now = new Set(view.waiting.map((card) => `${card.lane} ${card.number}`));
    if ([...now].some((each) => !known.has(each))) ring();
    known = now;
    const key = JSON.stringify([view.waiting.map((card) => [card.number, card.reasons, Math.round(card.ago_s / 5)]), view.lanes, view.venue?.cases, view.venue?.occupancy, view.faults, view.handed_by, view.passages.length]);
    if (drawn !== "form" && !isHeld && drawn !== key) { drawn = key; draw(); }
    if (wasStale || !state.textContent) tell([`${view.you.staff} · ${view.kiosk}`]);
  });
  source.addEventListener("over", begin);
  source.addEventListener("error", () => {
    // refused, as when too many pages look: unlike a broken connection, the browser does not try again by itself
    if (source.readyState === EventSource.CLOSED) setTimeout(watchView, AGAIN_MS);
  });
}

setInterval(() => {
  const stale = view && isStale();
  if (stale) tell(both("No connection: the buttons do nothing.", "连接中断：按钮无效。"), true);
  for (const each of main.querySelectorAll("button")) each.disabled = Boolean(stale);
}, 500);

async function begin() {
  source?.close();
  view = null; drawn = ""; state.replaceChildren();
  const who = await ask({ do: "who" });
  if (who.refused) { tell(word("refusal", who.refused), true); setTimeout(begin, 2000); return; }
  if (!who.paired) pairing();
  else if (!who.staff) login();
  else watchView();
}

begin();
