// What the device is doing: the word at the top, the mute button, the level, the figures.
import { byId, row, send } from "/static/dom.js";
import { Spectrogram } from "/static/spectrogram.js";

const WORDS = {
  listening: "listening",
  speech: "speech",
  no_audio: "NO AUDIO",
  waiting: "waiting",
  muted: "muted",
};
const ALARMS = {
  no_audio: "No sound from the microphone",
  waiting: "Not listening yet", // it has never been open
};
const LOWEST_DB = -90; // at the left end of the meter
const METER_MS = 1000; // between two values for a screen reader

const spectrogram = new Spectrogram(byId("spectrogram"));
let muted = false;
let metered = 0;

export function startMute() {
  byId("mute").addEventListener("click", () => {
    send("POST", "/api/mute", JSON.stringify({ muted: !muted }));
  });
}

export function showState(state) {
  if (!state.started) {
    showWord("waiting", "starting");
    return;
  }
  const audio = state.audio;
  const name = audio.state === "listening" && state.speaking ? "speech" : audio.state;
  showWord(name, WORDS[name]);
  if (audio.state !== "listening") showLevel(null);
  muted = state.muted;
  const button = byId("mute");
  button.disabled = false;
  button.setAttribute("aria-pressed", String(muted));
  button.textContent = muted ? "Muted" : "Mute";
  showAlarm(ALARMS[audio.state] ? `${ALARMS[audio.state]}: ${audio.reason}` : "");
  showFigures(state);
}

export function showLost() {
  showWord("lost", "no connection");
  showLevel(null);
  byId("mute").disabled = true;
}

export function showSound({ columns, level_dbfs }) {
  spectrogram.add(Uint8Array.from(atob(columns), (letter) => letter.charCodeAt(0)));
  showLevel(level_dbfs);
}

function showWord(name, text) {
  const chip = byId("state");
  chip.dataset.state = name;
  if (chip.textContent !== text) chip.textContent = text; // is read out at each change
}

function showAlarm(text) {
  const alarm = byId("alarm");
  alarm.hidden = !text;
  if (alarm.textContent !== text) alarm.textContent = text;
}

function showLevel(level) {
  const share = level === null ? 0 : Math.min(Math.max(1 - level / LOWEST_DB, 0), 1);
  byId("meter-bar").style.transform = `scaleX(${share})`;
  byId("level").textContent = level === null ? "–" : `${level.toFixed(0).replace("-", "−")} dBFS`;
  if (level !== null && performance.now() - metered < METER_MS) return;
  metered = performance.now();
  const meter = byId("meter");
  const below = level === null ? "no sound" : `${Math.round(-level)} decibels below full scale`;
  meter.setAttribute("aria-valuenow", String(Math.round(Math.max(level ?? LOWEST_DB, LOWEST_DB))));
  meter.setAttribute("aria-valuetext", below);
}

function showFigures(state) {
  const { audio, board } = state;
  const rate = audio.rate ? `, ${audio.rate / 1000} kHz` : "";
  const failing = Object.entries(state.failing).map(([sink, error]) => `${sink}: ${error}`);
  const cpu = `CPU (${state.runtime})`;
  const rows = [
    row("Microphone", `${audio.device}${rate}`),
    row("Opened again", `${audio.reopened} times; ${audio.overruns} overruns`),
    row("Runs on", state.runs_on === "cpu" ? cpu : `${state.runs_on}, else ${cpu}`),
    row("Heard", `${state.heard} utterances; ${state.waiting} wait`),
    row("Models", state.bundle),
    row("People", String(state.people)),
    row("Temperature", board.temperature_c === null ? "not told" : `${board.temperature_c} °C`),
  ];
  if (board.throttled !== null) {
    rows.push(row("Power and heat", board.throttled.join(", ") || "well", board.throttled.length > 0));
  }
  rows.push(
    row("Clock", board.clock_synced ? "set" : "not set since it booted", !board.clock_synced),
    row("Outputs", failing.join("; ") || "all work", failing.length > 0),
    row("Health", state.alive ? "gets on" : "stalled", !state.alive),
  );
  byId("figures").replaceChildren(...rows);
}
