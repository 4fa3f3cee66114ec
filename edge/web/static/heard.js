// The last voice heard: portrait, who it could be, what was heard in it, the faces that fit best.
import { byId, clock, element, percent, picture } from "/static/dom.js";

export function showHeard(event) {
  byId("nobody").hidden = true;
  byId("last").hidden = false;
  const image = byId("portrait");
  image.hidden = byId("caption").hidden = !event.portrait;
  if (event.portrait) {
    image.src = event.portrait;
    image.alt = `A face guessed from the voice: ${inWords(event.traits)}`;
  }
  byId("who").textContent = event.decision.name ?? "Unknown";
  byId("why").textContent = `${clock(event.time)}; ${event.decision.why}`;
  byId("traits").replaceChildren(...traitsOf(event.traits));
  byId("matches").replaceChildren(...event.matches.map(match));
  byId("matches").previousElementSibling.hidden = event.matches.length === 0;
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
