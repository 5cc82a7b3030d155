// The calls of the API. A call is repeated while the service is busy; an error has the service's own message.

const RETRIES = 8;
const PATIENCE_MS = 20_000; // then the person is told that an answer is late; it may still come
const BUSY = "The service is busy. Trying again …";
const NOT_READY = "The service is not ready. Trying again …";
const LATE = "The service has not answered yet. Still waiting …";
const CUT_OFF = "the answer was cut off or changed on its way; try again";
const REFUSALS = [413, 415, 422]; // of files that are too large, no images, or not of the model's size

export class Service {
  /**
   * @param {string} base the service's address, with its path prefix and a slash at the end
   * @param {(text: string) => void} onBusy called with a message when the service is busy or an answer is late, and with "" when
   *   that is over
   * @param {() => () => Promise<boolean>} watchModel called before each call. It returns a function that is called when the
   *   answer is 404 or 503: it tells whether the model that was chosen before the call is there no longer
   */
  constructor(base, onBusy, watchModel) {
    this._base = base;
    this._onBusy = onBusy;
    this._watchModel = watchModel;
    this._details = new Map();
    this._late = new Set(); // the calls that have waited for longer than PATIENCE_MS
  }

  /** The URL of a call; parameters that are undefined, null or "" are left out. */
  url(path, parameters = {}) {
    const given = Object.entries(parameters).filter(([, value]) => value !== undefined && value !== null && value !== "");
    const url = new URL(path, this._base);
    url.search = new URLSearchParams(given);
    return url.href;
  }

  /**
   * Make a call, and repeat it while the service is busy (429) or not ready (503).
   *
   * @throws {Error} with the detail of the service's problem document, and `isRefusal` if it refuses what was sent; an AbortError if `options.signal` is aborted, or if the
   *   model has gone, so that the page shows another one by now
   */
  async call(url, options = {}) {
    const isGone = this._watchModel();
    for (let attempt = 1; ; attempt += 1) {
      const response = await this._fetch(url, options).catch((error) => {
        if (attempt > 1) this._onBusy("");
        throw error;
      });
      if ((response.status === 404 || response.status === 503) && (await isGone())) {
        this._onBusy("");
        await response.text().catch(() => ""); // otherwise its connection stays in use
        throw new DOMException("the model has gone", "AbortError");
      }
      const busy = response.status === 429 || response.status === 503;
      if (!busy || attempt === RETRIES) {
        if (attempt > 1) this._onBusy("");
        if (response.ok) {
          noteKey(response);
          return response;
        }
        const problem = await response.json().catch(() => ({}));
        const error = new Error(withNames(problem.detail, options.body) || `the service answered ${response.status}`);
        throw Object.assign(error, { isRefusal: REFUSALS.includes(response.status) });
      }
      this._onBusy(response.status === 429 ? BUSY : NOT_READY);
      await pause(1000 * (Number(response.headers.get("Retry-After")) || 1), options.signal).catch((error) => {
        this._onBusy("");
        throw error;
      });
    }
  }

  /** Make a call once. While the answer is late, the person is told so; the call goes on. */
  async _fetch(url, options) {
    const call = {};
    const timer = setTimeout(() => {
      this._late.add(call);
      this._onBusy(LATE);
    }, PATIENCE_MS);
    try {
      await checkReadable(options.body); // Chromium reports an error of its own beside that of `fetch` if a file is not there
      return await fetch(url, options);
    } catch (error) {
      if (error.name === "AbortError" || error.isRefusal) throw error;
      await checkReadable(options.body); // it may have been deleted meanwhile
      throw new Error("the service does not answer; is it running?");
    } finally {
      clearTimeout(timer);
      if (this._late.delete(call) && this._late.size === 0) this._onBusy("");
    }
  }

  async json(path, parameters, options) {
    return readJson(await this.call(this.url(path, parameters), options));
  }

  /** A picture: a PNG file that the browser can decode. */
  async picture(path, parameters, options) {
    return readPicture(await this.call(this.url(path, parameters), options));
  }

  /** A model's details, requested once for each model. */
  details(reference) {
    if (!this._details.has(reference)) {
      const answer = this.json(`v1/models/${reference}`);
      answer.catch(() => this._details.delete(reference));
      this._details.set(reference, answer);
    }
    return this._details.get(reference);
  }

  /** The PNG of one latent's image. */
  async drawLatent(model, latent, options = {}) {
    const body = JSON.stringify({ model, latents: [Array.from(latent)], format: "png", padding: 0 });
    const headers = { "Content-Type": "application/json" };
    return readPicture(await this.call(this.url("v1/samples"), { method: "POST", headers, body, ...options }));
  }

  /** The URL of a call for D's scores. The curl commands that the page offers have the same parameters as its own calls. */
  scoreUrl(model, { preprocess = "auto", explain = false, split = false, steps = false } = {}) {
    const on = (value) => (value ? "true" : undefined);
    return this.url("v1/score", { model, preprocess, explain: on(explain), split: on(split), steps: on(steps) });
  }

  /** D's scores of files: a list of results, one for each file, or with `split` one for each digit. */
  async score(model, files, { signal, ...options } = {}) {
    const body = new FormData();
    for (const file of files) body.append("files", file, file.name ?? "drawing.png");
    const answer = await this.call(this.scoreUrl(model, options), { method: "POST", body, signal });
    return (await readJson(answer)).results;
  }

  /** The latent whose image is nearest to a file. */
  async project(model, file, { preprocess = "auto", signal } = {}) {
    const body = new FormData();
    body.append("file", file, file.name ?? "drawing.png");
    return readJson(await this.call(this.url("v1/projections", { model, preprocess }), { method: "POST", body, signal }));
  }
}

async function readJson(response) {
  checkKind(response, "json");
  const text = await whole(response.text());
  try {
    return JSON.parse(text);
  } catch {
    throw new Error(CUT_OFF);
  }
}

async function readPicture(response) {
  checkKind(response, "image/");
  const blob = await whole(response.blob());
  try {
    (await createImageBitmap(blob)).close();
  } catch {
    throw new Error(CUT_OFF);
  }
  return blob;
}

/** A successful answer of another kind is not the service's: a proxy or the login page of a network answers with HTML. */
function checkKind(response, kind) {
  const type = response.headers.get("Content-Type") ?? "";
  if (type.includes(kind)) return;
  const words = `something between this page and the service answered, with ${type.split(";")[0] || "an answer of no kind"}`;
  throw new Error(`${words}. It may be a proxy, or a page on which to log in: reload this page`);
}

/** The body of an answer, unless the connection ended before all of it was there. */
function whole(body) {
  return body.catch((error) => {
    throw error.name === "AbortError" ? error : new Error(CUT_OFF);
  });
}

/** Mark the page, as the service does, if an answer shows that calls need a key by now: only then answers are private. */
function noteKey(response) {
  if (/\bprivate\b/.test(response.headers.get("Cache-Control"))) document.documentElement.dataset.needsKey = "";
}

/** A text of the service with the names of the request's files as they are: browsers send quotes in them as %22. */
function withNames(text, body) {
  const files = body instanceof FormData ? [...body.values()].filter((value) => value instanceof File) : [];
  return files.reduce((said, { name }) => said?.replaceAll(name.replaceAll('"', "%22"), name), text);
}

/** Refuse a request if the browser cannot read a file in its body. */
async function checkReadable(body) {
  const files = body instanceof FormData ? [...body.values()].filter((value) => value instanceof File) : [];
  for (const file of files) {
    try {
      const reader = file.stream().getReader();
      await reader.read(); // the first bytes are enough
      await reader.cancel();
    } catch {
      const words = `“${file.name}” cannot be read: it is a folder, or the file has been moved, changed or deleted`;
      throw Object.assign(new Error(words), { isRefusal: true });
    }
  }
}

function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}
