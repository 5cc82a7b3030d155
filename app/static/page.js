// One grid, one seed, one model; what is on screen is in the address, so that it can be shared.

const grid = document.getElementById("grid");
const status = document.getElementById("status");
const form = document.getElementById("form");
const seedField = document.getElementById("seed");
const modelField = document.getElementById("model");
const curlField = document.getElementById("curl");

const SEEDS_DRAWN = 2 ** 31; // short enough to read aloud; the service takes seeds below 2^53
const RETRIES = 5;

let pictureUrl = null;
let latest = 0;

function samplesUrl(format) {
  const parameters = new URLSearchParams({ n: 64, seed: seedField.value, scale: 3, format });
  if (modelField.value) parameters.set("model", modelField.value);
  return new URL(`v1/samples?${parameters}`, document.baseURI);
}

function say(text, isError = false) {
  status.textContent = text;
  status.classList.toggle("error", isError);
}

async function fetchPatiently(url) {
  for (let attempt = 1; ; attempt += 1) {
    const response = await fetch(url);
    if (response.ok) return response;
    const busy = response.status === 429 || response.status === 503;
    if (!busy || attempt === RETRIES) {
      const problem = await response.json().catch(() => ({}));
      throw new Error(problem.detail || `the service answered ${response.status}`);
    }
    say("The service is busy, trying again …");
    await new Promise((resolve) => setTimeout(resolve, 1000 * (Number(response.headers.get("Retry-After")) || 1)));
  }
}

async function draw() {
  const turn = (latest += 1);
  grid.classList.add("waiting");
  const url = samplesUrl("png");
  try {
    const response = await fetchPatiently(url);
    const picture = await response.blob();
    if (turn !== latest) return;
    if (pictureUrl) URL.revokeObjectURL(pictureUrl);
    pictureUrl = URL.createObjectURL(picture);
    grid.src = pictureUrl;
    const model = response.headers.get("X-Model");
    grid.alt = `64 images drawn by ${model} from seed ${seedField.value}`;
    say(`64 images of seed ${seedField.value}, drawn by ${model}`);
    const permanent = new URL(response.headers.get("Content-Location"), document.baseURI);
    curlField.value = `curl -o digits.png '${permanent}'`;
    history.replaceState(null, "", `?${new URLSearchParams({ model: modelField.value, seed: seedField.value })}`);
  } catch (error) {
    if (turn === latest) say(`No picture: ${error.message}`, true);
  } finally {
    if (turn === latest) grid.classList.remove("waiting");
  }
}

async function listModels() {
  const { default: standard, models } = await (await fetchPatiently(new URL("v1/models", document.baseURI))).json();
  for (const model of models) {
    const option = new Option(model.ready ? model.name : `${model.name} (cannot be used)`, model.name);
    option.disabled = !model.ready;
    modelField.add(option);
  }
  const wanted = new URLSearchParams(location.search);
  const known = models.some((model) => model.ready && model.name === wanted.get("model"));
  modelField.value = known ? wanted.get("model") : (standard ?? "");
  seedField.value = /^[0-9]+$/.test(wanted.get("seed") ?? "") ? wanted.get("seed") : "7";
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  draw();
});
modelField.addEventListener("change", draw);
document.getElementById("another").addEventListener("click", () => {
  seedField.value = Math.floor(Math.random() * SEEDS_DRAWN);
  draw();
});
document.getElementById("copy").addEventListener("click", async (event) => {
  const button = event.currentTarget;
  curlField.select();
  try {
    await navigator.clipboard.writeText(curlField.value);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Press Ctrl+C"; // no clipboard outside a secure context; the text is selected
  }
  setTimeout(() => (button.textContent = "Copy"), 1500);
});

listModels().then(draw, (error) => say(`No models: ${error.message}`, true));
