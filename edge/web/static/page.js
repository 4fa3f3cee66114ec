// The page: follows the stream of events and asks for what it does not carry.
import { byId, element, send } from "/static/dom.js";
import { showHeard, showNobody, showPortrait } from "/static/heard.js";
import { fillHistory, startHistory } from "/static/history.js";
import { fillPeople, startEnrolment } from "/static/people.js";
import { fillReviews } from "/static/reviews.js";
import { showLost, showSound, showState, startMute } from "/static/state.js";

const HIDDEN_MS = 10_000; // a page that nobody sees stops watching after this
const AGAIN_MS = 3000;
const WRITTEN_MS = 500; // the journal has an event by then

let stream = null;
let lastId = "";
let leaving = 0;
let filling = 0;

function watch() {
  if (stream) return;
  stream = new EventSource(`/events?since=${encodeURIComponent(lastId)}`);
  stream.addEventListener("open", () => Promise.all([fillHistory(false), people(), fillReviews()]));
  stream.addEventListener("status", (event) => showState(JSON.parse(event.data)));
  stream.addEventListener("sound", (event) => showSound(JSON.parse(event.data)));
  stream.addEventListener("portrait", (event) => showPortrait(JSON.parse(event.data)));
  stream.addEventListener("event", (event) => {
    lastId = event.lastEventId;
    happened(JSON.parse(event.data));
  });
  stream.addEventListener("error", lost);
}

function happened(event) {
  if (event.kind === "heard") {
    showHeard(event);
    clearTimeout(filling);
    filling = setTimeout(() => Promise.all([fillHistory(false), fillReviews()]), WRITTEN_MS);
  } else if (event.kind === "system" && ["started", "reloaded"].includes(event.what)) {
    showNobody();
    fillHistory(true); // somebody may have been forgotten
    people();
    fillReviews();
    settings();
  }
}

async function lost() {
  showLost();
  if (stream?.readyState !== EventSource.CLOSED) return; // the browser tries again by itself
  leave();
  const answer = await fetch("/api/state").catch(() => null);
  if (answer?.status === 401) location.assign("/login");
  else setTimeout(() => { if (!document.hidden) watch(); }, AGAIN_MS);
}

function leave() {
  stream?.close();
  stream = null;
}

document.addEventListener("visibilitychange", () => {
  clearTimeout(leaving);
  if (document.hidden) leaving = setTimeout(leave, HIDDEN_MS);
  else watch();
});

async function people() {
  const found = await send("GET", "/api/people");
  if (found) fillPeople(found);
}

async function settings() {
  const found = await send("GET", "/api/settings");
  if (!found) return;
  const sections = Object.entries(found.sections).map(([name, text]) => {
    const rows = element("dl", "rows");
    const own = found.keys.filter(({ key }) => key.startsWith(`${name}.`));
    rows.append(...own.map((key) => setting(key, name)));
    const details = element("details");
    details.append(element("summary", "", `[${name}]`), element("p", "soft", text), rows);
    return details;
  });
  byId("settings").replaceChildren(...sections);
}

function setting({ key, value, origin, text }, section) {
  const told = element("dd", "soft", text);
  told.prepend(element("code", "", JSON.stringify(value)));
  if (origin !== "default") told.append(element("strong", "", ` (${origin})`));
  const group = element("div");
  group.append(element("dt", "", key.slice(section.length + 1)), told);
  return group;
}

async function words() {
  const about = await send("GET", "/api/about");
  if (!about) return;
  const sentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}.`;
  byId("caption").textContent = sentence(about.caption);
  byId("honesty").textContent = about.honesty.split("; ").map(sentence).join(" ");
  byId("version").textContent = `earsight ${about.version}.`;
}

startMute();
startHistory();
startEnrolment();
watch();
words();
settings();
