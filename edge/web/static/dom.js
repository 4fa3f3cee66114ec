// Small helpers: elements, formats, requests.
export const byId = (id) => document.getElementById(id);

export function element(name, className = "", text = "") {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text) made.textContent = text; // never as HTML: names and errors hold anything
  return made;
}

export function picture(address, alt) {
  const image = element("img");
  image.src = address;
  image.alt = alt;
  image.addEventListener("error", () => { image.style.visibility = "hidden"; });
  return image;
}

export function row(name, value, bad = false) {
  const group = element("div");
  group.append(element("dt", "", name), element("dd", bad ? "bad" : "", value));
  return group;
}

export const percent = (share) => `${Math.round(100 * share)}%`;

export function clock(time) {
  const when = new Date(time);
  const today = when.toDateString() === new Date().toDateString();
  return when.toLocaleString([], today ? { timeStyle: "medium" } : { dateStyle: "medium", timeStyle: "short" });
}

// Returns what was answered, or null after telling `explain` why not.
export async function send(method, address, body = undefined, explain = () => {}) {
  try {
    const answer = await fetch(address, { method, body });
    if (answer.status === 401) location.assign("/login");
    const said = await answer.json();
    if (answer.ok) return said;
    explain(said.error ?? answer.statusText, said);
  } catch {
    explain("The device does not answer.");
  }
  return null;
}
