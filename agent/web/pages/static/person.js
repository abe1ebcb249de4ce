// The person's screen: paints what the agent shows, says so, and is never green for longer than it was told.

const BEAT_MS = 900; // without a beat for so long: nobody is let in
const AGAIN_MS = 500; // how often the picture on the screen is confirmed again
const OVER_MS = 300; // the next picture is to come this soon after one has ended
const BIGGEST_OF_HEIGHT = 0.16;
const CLAUSE_ENDS = /(?<=[.:]) |(?<=[，：])/;
const WHOLE_OF_BROKEN = 0.8; // so much smaller a font may be, for clauses that are not broken
const LIFT_MS = 250; // how often the curtain is lifted
const DARK_MS = 1400; // a curtain that is not lifted again is black by then

const lane = location.pathname.split("/").pop();
const body = document.body;
const symbol = document.querySelector(".symbol use");
const arrow = document.querySelector(".arrow");
const code = document.querySelector(".code");
const figure = document.querySelector(".figure");
const field = document.querySelector(".lines");
const staff = { sign: "fault", tone: "fault", lines: textsOf(), arrow: "", rhythm_ms: [], for_ms: 0, rest_s: 0, figure: [], code: null, font_px: 0, panel_px: [1, 1] };

let shown = staff;
let number = 0;
let beatAt = performance.now();
let acknowledgedAt = 0;
let ending = 0;
let moving = null;
let restUntil = 0;
const fonts = new Map(); // what was found to fit, for each text and size of the page: font, whether clauses are whole
let liftedAt = 0;

function textsOf() {
  return Object.fromEntries([...field.children].map((line) => [line.lang, [line.textContent.trim()]]));
}

function paint(picture) {
  clearTimeout(ending);
  shown = picture;
  body.dataset.tone = picture.tone;
  symbol.setAttribute("href", `#${picture.sign}`);
  arrow.toggleAttribute("hidden", picture.arrow === "");
  arrow.dataset.to = picture.arrow;
  code.toggleAttribute("hidden", !picture.code);
  symbol.parentElement.toggleAttribute("hidden", Boolean(picture.code));
  if (picture.code) {
    code.setAttribute("viewBox", `0 0 ${picture.code.size} ${picture.code.size}`);
    code.firstElementChild.setAttribute("d", picture.code.path);
  }
  restUntil = performance.now() + 1000 * picture.rest_s;
  figure.toggleAttribute("hidden", !picture.rest_s && !picture.figure.length);
  figure.replaceChildren(...picture.figure.map((text) => sentence(text, "en")));
  count();
  for (const line of field.children) {
    line.replaceChildren(...picture.lines[line.lang].map((text) => sentence(text, line.lang)));
  }
  fit();
  move();
  if (picture.for_ms > 0) {
    ending = setTimeout(() => paint(staff), picture.for_ms + OVER_MS);
  }
}

// Minutes and seconds until the rest is over.
function count() {
  if (shown.rest_s > 0) {
    const left = Math.max(0, Math.ceil((restUntil - performance.now()) / 1000));
    const text = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
    if (figure.textContent !== text) {
      figure.textContent = text;
    }
  }
}

// Broken between clauses if it can be, else between words only, in Chinese too.
function sentence(text, lang) {
  const span = document.createElement("span");
  for (const words of text.split(CLAUSE_ENDS)) {
    const clause = document.createElement("span");
    for (const { segment, isWordLike } of new Intl.Segmenter(lang, { granularity: "word" }).segment(words)) {
      if (isWordLike && lang !== "en") {
        clause.append(document.createElement("wbr"));
      }
      clause.append(segment);
    }
    span.append(lang === "en" && span.firstChild ? " " : "", clause);
  }
  return span;
}

// The largest font that the lines fit in, and never one that cannot be read from where people stand. Clauses are
// broken only where that makes it much larger.
function fit() {
  const about = JSON.stringify([shown.lines, shown.font_px, shown.panel_px, innerWidth, innerHeight]);
  if (!fonts.has(about)) {
    const [whole, broken] = [largest(true), largest(false)];
    fonts.set(about, whole >= WHOLE_OF_BROKEN * broken ? [whole, true] : [broken, false]);
  }
  const [font, isWhole] = fonts.get(about);
  field.classList.toggle("whole", isWhole);
  body.style.setProperty("--font", `${font}px`);
}

function largest(isWhole) {
  field.classList.toggle("whole", isWhole);
  const [width, height] = shown.panel_px;
  const least = Math.floor(shown.font_px * Math.min(innerWidth / width, innerHeight / height));
  let [low, high] = [Math.max(least, 12), Math.max(least, Math.floor(innerHeight * BIGGEST_OF_HEIGHT))];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    body.style.setProperty("--font", `${middle}px`);
    const tall = field.lastElementChild.getBoundingClientRect().bottom - field.firstElementChild.getBoundingClientRect().top;
    const fits = tall <= field.clientHeight * 0.94 && [...field.querySelectorAll("p > span")].every((span) => span.scrollWidth <= span.clientWidth);
    [low, high] = fits ? [middle, high] : [low, middle - 1];
  }
  return low;
}

// The arrow moves in the lamp's rhythm; it stands for those who want no motion.
function move() {
  moving?.cancel();
  moving = null;
  const [on, off] = shown.rhythm_ms;
  if (shown.arrow === "" || !on || matchMedia("(prefers-reduced-motion: reduce)").matches) {
    return;
  }
  const turn = { up: 0, right: 90, down: 180, left: 270 }[shown.arrow];
  const at = (y, opacity, offset) => ({ transform: `rotate(${turn}deg) translateY(${y}%)`, opacity, offset });
  const part = on / (on + off);
  const frames = [at(14, 1, 0), at(-14, 1, part * 0.999)];
  if (off) {
    frames.push(at(-14, 0, part), at(14, 0, 1));
  } else {
    frames[1].offset = 1;
  }
  moving = arrow.animate(frames, { duration: on + off, iterations: Infinity });
}

// Two frames later the screen shows it.
function acknowledge() {
  acknowledgedAt = performance.now();
  const painted = number;
  requestAnimationFrame(() =>
    requestAnimationFrame(() => {
      fetch(`/lanes/${lane}/painted`, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ number: painted }),
      }).catch(() => {});
    }),
  );
}

function follow() {
  const source = new EventSource(`/lanes/${lane}/events`);
  source.addEventListener("picture", (event) => {
    const picture = JSON.parse(event.data);
    number = picture.number;
    beatAt = performance.now();
    paint(picture);
    acknowledge();
  });
  source.addEventListener("beat", () => {
    beatAt = performance.now();
    if (beatAt - acknowledgedAt >= AGAIN_MS) {
      acknowledge();
    }
  });
  source.addEventListener("error", () => paint(staff));
}

// Falls by itself unless it is lifted again. The compositor draws it, also while this page's script hangs.
const curtain = document.querySelector(".curtain").animate(
  [{ opacity: 0 }, { opacity: 0, offset: 0.9 }, { opacity: 1 }],
  { duration: DARK_MS, fill: "forwards" },
);

setInterval(() => {
  const now = performance.now();
  if (shown !== staff && now - beatAt > BEAT_MS) {
    paint(staff);
  }
  count();
  if (now - liftedAt >= LIFT_MS) {
    liftedAt = now;
    curtain.currentTime = 0;
  }
}, 100);
addEventListener("resize", fit);
document.fonts?.ready.then(() => {
  fonts.clear();
  fit();
});
paint(staff);
follow();
