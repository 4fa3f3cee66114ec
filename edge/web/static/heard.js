// The last voice heard: portrait, who it could be, what was heard in it, the faces that fit best.
import { byId, clock, element, percent, picture } from "/static/dom.js";

let shown = null; // the event

export function showHeard(event) {
  shown = event;
  byId("nobody").hidden = true;
  byId("last").hidden = false;
  byId("portrait").hidden = byId("caption").hidden = true; // until it comes
  byId("who").textContent = event.decision.name ?? "Unknown";
  byId("why").textContent = `${clock(event.time)}; ${event.decision.why}`;
  byId("traits").replaceChildren(...traitsOf(event.traits));
  byId("matches").replaceChildren(...event.matches.map(match));
  byId("matches").previousElementSibling.hidden = event.matches.length === 0;
}

// Shows the portrait of the event with this sequence number: it comes right behind it.
export function showPortrait({ sequence, png }) {
  if (sequence !== shown?.sequence) return;
  const image = byId("portrait");
  const bytes = Uint8Array.from(atob(png), (letter) => letter.charCodeAt(0));
  URL.revokeObjectURL(image.src);
  image.src = URL.createObjectURL(new Blob([bytes], { type: "image/png" }));
  image.alt = `A face guessed from the voice: ${inWords(shown.traits)}`;
  image.hidden = byId("caption").hidden = false;
}

// Shows nothing of what was heard before: the daemon has started anew, perhaps to forget it.
export function showNobody() {
  shown = null;
  URL.revokeObjectURL(byId("portrait").src);
  byId("portrait").removeAttribute("src");
  byId("who").textContent = "";
  byId("matches").replaceChildren();
  byId("traits").replaceChildren();
  byId("last").hidden = true;
  byId("nobody").hidden = false;
}

function traitsOf(traits) {
  if (!traits) return []; // the bundle estimates none
  const shown = [
    trait("Female", percent(traits.female)),
    trait("Child", percent(traits.child)),
    trait("Pitch", `${traits.f0_hz.toFixed(0)} Hz`),
    trait("Vocal tract", `${traits.vocal_tract_cm.toFixed(1)} cm`),
  ];
  if (traits.age_years !== null) {
    const [low, high] = traits.age_interval.map(Math.round);
    shown.push(trait("Age", `${Math.round(traits.age_years)} (${low} to ${high})`));
  }
  return shown;
}

export function inWords(traits) {
  if (!traits) return "somebody";
  const who = traits.child > 0.5 ? "a child" : traits.female > 0.5 ? "a woman" : "a man";
  return traits.age_years === null ? who : `${who} of about ${Math.round(traits.age_years)}`;
}

function trait(name, value) {
  const group = element("div");
  group.append(element("dt", "", name), element("dd", "", value));
  return group;
}

function match({ id, name, score }) {
  const bar = element("div");
  bar.style.width = percent(Math.min(Math.max(score, 0), 1));
  const share = element("div", "share");
  share.setAttribute("aria-hidden", "true");
  share.append(bar);
  const item = element("li");
  item.append(
    picture(`/people/${encodeURIComponent(id)}`, ""),
    element("span", "", name),
    element("span", "figures", score.toFixed(2)),
    share,
  );
  return item;
}
