// The people who are ranked, and the form that adds one.
import { byId, element, picture, send } from "/static/dom.js";

const LARGEST = 1600; // pixels a side; a telephone's photo has 4000
const MOST = 8;

export function fillPeople({ sample, people, more }) {
  const note = byId("people-note");
  note.textContent = remark(sample, people.length, more);
  note.hidden = !note.textContent;
  byId("faces").replaceChildren(...people.map((person) => face(person, sample)));
}

function remark(sample, shown, more) {
  if (sample) {
    return "Nobody is enrolled, so these synthetic people are ranked. The first person you add takes their place.";
  }
  if (!shown) return "Nobody is enrolled.";
  return more ? `And ${more} more.` : "";
}

function face(person, sample) {
  const item = element("li");
  item.append(picture(`/people/${encodeURIComponent(person.id)}`, ""), element("span", "", person.name));
  if (!sample) {
    const button = element("button", "plain", "Remove");
    button.type = "button";
    button.setAttribute("aria-label", `Remove ${person.name}`);
    button.addEventListener("click", () => remove(person, button));
    item.append(element("br"), button);
  }
  return item;
}

async function remove(person, button) {
  if (!confirm(`Remove ${person.name}? What was heard stays in the journal.`)) return;
  button.disabled = true;
  const done = await send("DELETE", `/api/people/${encodeURIComponent(person.id)}`, undefined, say);
  if (done) say(`${person.name} is removed.`);
  else button.disabled = false;
}

function say(text) {
  byId("enrol-said").textContent = text;
}

export function startEnrolment() {
  const form = byId("enrol");
  byId("photos").addEventListener("change", preview);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const files = [...byId("photos").files];
    if (files.length > MOST) {
      say(`Choose ${MOST} photos at most.`);
      return;
    }
    const button = byId("enrol-send");
    button.disabled = true;
    say("Looking at the photos …");
    showRefused([]);
    const body = new FormData();
    body.set("name", byId("name").value.trim());
    body.set("consent_by", byId("consent").value.trim());
    body.set("expires", byId("expires").value);
    for (const file of files) body.append("photo", await smaller(file), file.name);
    const done = await send("POST", "/api/people", body, (error, answer) => {
      say(error);
      showRefused(answer?.seen ?? []);
    });
    button.disabled = false;
    if (!done) return;
    say(done.said);
    showRefused(done.seen);
    form.reset();
    preview();
    byId("name").focus();
  });
}

// Shows what was seen on the photos that were refused; the reason is written below each.
function showRefused(photos) {
  for (const image of byId("refused").children) URL.revokeObjectURL(image.src);
  byId("refused").replaceChildren(...photos.map(({ name, png }) => {
    const bytes = Uint8Array.from(atob(png), (letter) => letter.charCodeAt(0));
    const address = URL.createObjectURL(new Blob([bytes], { type: "image/png" }));
    return picture(address, `What was seen on ${name}`);
  }));
}

function preview() {
  for (const image of byId("previews").children) URL.revokeObjectURL(image.src);
  const files = [...byId("photos").files].slice(0, MOST);
  byId("previews").replaceChildren(...files.map((file) => picture(URL.createObjectURL(file), "")));
}

// Returns the photo upright and no larger than needed; as it is where the browser cannot read it.
async function smaller(file) {
  const bitmap = await createImageBitmap(file).catch(() => null);
  if (!bitmap) return file;
  const scale = Math.min(1, LARGEST / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.round(bitmap.width * scale);
  canvas.height = Math.round(bitmap.height * scale);
  const context = canvas.getContext("2d");
  context.fillStyle = "#fff"; // under what is transparent
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  return new Promise((done) => { canvas.toBlob((blob) => done(blob ?? file), "image/jpeg", 0.93); });
}
