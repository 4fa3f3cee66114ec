// What the journal holds, newest first, a page at a time.
import { byId, clock, element, picture, send } from "/static/dom.js";
import { inWords } from "/static/heard.js";

const shown = new Set(); // ids
let until = ""; // time of the oldest shown

export function startHistory() {
  byId("older").addEventListener("click", async () => {
    const page = await send("GET", `/api/history?until=${encodeURIComponent(until)}`);
    if (page) append(page);
  });
}

// Adds what is new; begins anew when asked to, or when nothing shown adjoins it.
export async function fillHistory(anew) {
  const page = await send("GET", "/api/history");
  if (!page) return;
  const empty = byId("history-empty");
  empty.hidden = page.entries.length > 0;
  empty.textContent = page.kept ? "Nothing was heard yet." : "No journal is kept.";
  const fresh = page.entries.filter((entry) => !shown.has(entry.id));
  if (anew || fresh.length === page.entries.length) {
    byId("entries").replaceChildren();
    shown.clear();
    append(page);
  } else {
    byId("entries").prepend(...fresh.map(line));
  }
}

function append(page) {
  byId("entries").append(...page.entries.map(line));
  until = page.entries.at(-1)?.time ?? until;
  byId("older").hidden = !page.more;
}

function line(entry) {
  shown.add(entry.id);
  const best = entry.matches[0];
  const when = clock(entry.time) + (entry.time_sure ? "" : " (clock not set)");
  const seconds = (entry.end_s - entry.start_s).toFixed(1);
  const fit = best ? `best fit ${best.name}, ${best.score.toFixed(2)}` : "nobody enrolled";
  const item = element("li");
  item.append(
    entry.portrait ? picture(entry.portrait, "") : element("span", "blank"),
    element("strong", "", entry.decision.name ?? "Unknown"),
    element("span", "soft", `${when}, ${seconds} s, ${inWords(entry.traits)}`),
    element("span", "soft", fit),
  );
  return item;
}
