// The matches that were nearly good enough for a name: "was this ...?"
import { byId, clock, element, percent, picture, send } from "/static/dom.js";

export async function fillReviews() {
  const found = await send("GET", "/api/reviews");
  if (!found) return;
  byId("reviews").hidden = !found.waiting.length;
  byId("reviews-list").replaceChildren(...found.waiting.map(question));
}

function question(review) {
  const item = element("li");
  const told = element("p", "", `Was this ${review.name}?`);
  told.append(element("span", "soft", ` ${clock(review.heard)}, probability ${percent(review.probability)}`));
  const buttons = element("p", "answers");
  for (const [word, yes] of [["Yes", true], ["No", false]]) {
    const button = element("button", "plain", word);
    button.type = "button";
    button.setAttribute("aria-label", `${word}, ${yes ? "this was" : "this was not"} ${review.name}, ${clock(review.heard)}`);
    button.addEventListener("click", () => answer(review, yes, buttons));
    buttons.append(button);
  }
  item.append(picture(`/people/${encodeURIComponent(review.person)}`, ""), told, buttons);
  return item;
}

async function answer(review, yes, buttons) {
  for (const button of buttons.children) button.disabled = true;
  const body = JSON.stringify({ yes });
  const done = await send("POST", `/api/reviews/${review.number}`, body, say);
  if (done) say(yes ? `${review.name} is known by this voice too.` : "The voice is erased.");
  await fillReviews();
}

function say(text) {
  byId("review-said").textContent = text;
}
