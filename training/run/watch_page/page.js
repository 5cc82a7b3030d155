// Shows a training run. The page asks the server for the progress every two seconds.

import { Learning } from "./viewer/learning.js";

const EVERY_MS = 2000;
const QUIET_S = 600; // longer than any epoch of a bundled recipe takes

const status = document.getElementById("status");
const few = document.getElementById("few");
const learning = new Learning();
document.getElementById("learning").append(learning.element);

let shown = "";

async function look() {
  try {
    const response = await fetch("run.json");
    const run = await response.json();
    if (!response.ok) throw new Error(run.detail);
    show(run);
  } catch (error) {
    const away = error instanceof TypeError;
    say(away ? "`training watch` does not answer. Is it still running?" : error.message, true);
  }
  setTimeout(look, EVERY_MS);
}

function show(run) {
  const { name, recipe, data, epochs, minutes, finished, warning, written_s_ago: ago, history, game, optimum, pictures } = run;
  const done = history.epochs.at(-1)?.epoch ?? 0;
  document.title = `${name}: ${done} of ${epochs} epochs`;
  document.getElementById("name").textContent = name;
  const quiet = ago > QUIET_S ? "; has it stopped?" : ".";
  const end = done < epochs ? `finished after its ${minutes} min of training.` : "finished.";
  const pace = finished ? end : `last file written ${duration(ago)} ago${quiet}`;
  say(`Recipe ${recipe} on ${data}: ${done} of ${epochs} epochs, ${pace}`);
  few.hidden = !warning;
  few.textContent = warning ? `Warning: ${warning}.` : "";
  const news = JSON.stringify([history, pictures]);
  if (news === shown) return;
  shown = news;
  learning.show({ ...history, game, optimum }, pictures);
}

function say(text, isError = false) {
  if (status.textContent !== text) status.textContent = text;
  status.classList.toggle("error", isError);
}

function duration(seconds) {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${Math.round(seconds / 3600)} h`;
}

look();
