// Judge: D's opinion of a drawing or of photos, the pixels that it depends on, and the nearest image of G.

import { el, format } from "../../viewer/elements.js";
import { Copyable, curl, savedName, upload } from "../copyable.js";
import { DrawingPad } from "../drawing-pad.js";
import { keepingFocus } from "../focus.js";
import { Latest } from "../latest.js";
import { NearestImage } from "../nearest-image.js";
import { opinion } from "../opinion.js";
import { Photo } from "../photo.js";
import { preparation } from "../preparation.js";
import { Seen, png } from "../seen.js";
import { callOf, scored, standInFor, subjectsOf } from "../subjects.js";

const MAX_FILES = 64;
const LATE_MS = 500; // the previous opinion may stay this long, so that the page does not flicker while a person draws
const ADVICE = /[;,:.]?\s*send split=true.*$/; // how the service ends its reason if there are several digits; here is a button

export class Judge {
  constructor(app) {
    this._app = app;
    this._score = new Latest((request, signal) => app.attempt(() => this._scoreNow(request, signal), "judge: score"));
    this._pad = new DrawingPad(document.getElementById("pad"), () => this._drawn());
    this._photo = new Photo(document.getElementById("photo"), {
      onBox: (box) => app.attempt(() => this._cut(this._marked, box), "judge: cut"),
      onChoose: (place) => this._choose(this._boxed[place]),
    });
    this._nearest = new NearestImage(app, document.getElementById("nearest"), document.getElementById("found"));
    this._seen = new Seen();
    this._curl = new Copyable("Score it with curl");
    this._save = el("a", { class: "button" }, "Save the image");
    this._photoHint = document.getElementById("photo-hint");
    this._verdict = document.getElementById("verdict");
    this._preparation = document.getElementById("preparation");
    this._command = document.getElementById("command");
    this._judgedList = document.getElementById("judged-list");
    this._asIs = document.getElementById("as-is");
    this._files = document.getElementById("files");
    this._camera = document.getElementById("camera");
    this._request = null; // what D judges: { model, subjects, preprocess, given, example, prepared }; subjects are null for the drawing on the pad
    this._earlier = []; // the images that “Draw” has replaced by the pad, the latest last: { request, chosen }
    this._judged = null; // the request whose opinion is on screen
    this._chosen = null; // the subject that is shown; a newer copy of it may be in the request. Null stands for the first
    this._boxed = []; // the subjects that have a box on the photo
    this._marked = null; // the subject whose box can be moved on the photo: the chosen one may not be there yet
    this._changes = 0; // how often a person has changed a subject
    this._inputs = 0; // how often a person has given D something to judge
    this._takeClicks();
    this._takeDrops(document.getElementById("drop"));
    addEventListener("paste", (event) => this._paste(event));
  }

  /** Show D's opinion, unless it is on screen: a click on the open view must not remove the nearest image. */
  async show() {
    this._app.attempt(() => this._sayWho(), "judge: who");
    const isOfDigits = this._app.model.subject === "digits";
    if (!isOfDigits && this._request?.subjects === null) this._forgetDrawing();
    if (this._request === null && isOfDigits && !this._pad.isEmpty) this._drawn(); // it was drawn for a model before
    else if (this._request === null) {
      this._clear();
      if (this._inputs === 0) this._takeFiles([...this._files.files, ...this._camera.files]); // chosen before this script was there
    } else if (this._request.model !== this._app.model.model) await this._judgeAgain();
    else if (this._judged !== this._request) this._score.run(this._request);
  }

  /** Say that the chosen model's D is not the one that played the game, if its metadata say so. */
  async _sayWho() {
    const { model } = this._app.model;
    const { metadata } = await this._app.service.details(model);
    if (model === this._app.model.model) document.getElementById("judge-who").hidden = !metadata.judge;
  }

  _takeClicks() {
    const on = (id, work) => document.getElementById(id).addEventListener("click", work);
    on("pad-undo", () => this._pad.undo());
    on("pad-clear", () => this._pad.clear());
    on("pad-example", () => this._app.attempt(() => this._takeExample(), "judge: example"));
    on("pad-again", () => {
      this._photo.finish();
      this._earlier.push({ request: this._request, chosen: this._chosen });
      this._drawn();
      this._pad.focus();
    });
    on("judged-earlier", () => this._app.attempt(() => this._showEarlier(), "judge: earlier"));
    on("found-again", () => {
      this._photo.cancel();
      this._replace(this._subject, { cut: null });
    });
    for (const input of [this._files, this._camera]) {
      input.addEventListener("click", () => (input.value = "")); // otherwise the same file again is no change
      input.addEventListener("change", () => this._takeFiles([...input.files]));
    }
    this._asIs.addEventListener("change", () => this._changePreprocess());
  }

  /** The chosen subject of the request. */
  get _subject() {
    return standInFor(this._request.subjects, this._chosen);
  }

  /** Let D judge the same files with or without preprocessing. A person's boxes and single digits are there again afterwards. */
  _changePreprocess() {
    if (!this._request?.given) return;
    this._photo.finish();
    const { subjects, given, prepared } = this._request;
    const shown = this._subject;
    if (this._asIs.checked) {
      const kept = { model: this._request.model, subjects, chosen: shown };
      this._judge({ subjects: subjectsOf(given.files), preprocess: "none", given, prepared: kept });
      return;
    }
    if (prepared?.chosen.file === shown.file) this._chosen = prepared.chosen;
    const isSameModel = prepared?.model === this._app.model.model;
    const restored = prepared?.subjects.map((subject) => (isSameModel ? subject : { ...subject, result: null }));
    this._judge({ subjects: restored ?? subjectsOf(given.files), preprocess: "auto", given });
  }

  /** Take files that are dropped anywhere on the page while this view is open. */
  _takeDrops(mark) {
    const view = document.getElementById("judge");
    for (const name of ["dragenter", "dragover", "dragleave", "drop"]) {
      document.documentElement.addEventListener(name, (event) => {
        if (view.hidden || !(view.contains(event.target) || event.dataTransfer.types.includes("Files"))) return;
        event.preventDefault();
        mark.classList.toggle("over", name === "dragenter" || name === "dragover");
        if (name !== "drop") return;
        const files = [...event.dataTransfer.files];
        if (files.length) this._takeFiles(files);
        else this._app.say("That is no file. Save the image, and drop its file here.", true);
      });
    }
  }

  /** Take an image from the clipboard. Text that is pasted goes where the cursor is, as ever. */
  _paste(event) {
    const files = [...event.clipboardData.files];
    if (files.length === 0 || document.getElementById("judge").hidden) return;
    event.preventDefault();
    this._takeFiles(files, { isSaved: false });
  }

  /** Let D judge a person's files, and show the first. `isSaved`: they are in a folder, where a command can find them. */
  _takeFiles(files, { isSaved = true } = {}) {
    if (files.length === 0) return; // a person has closed the dialogue
    if (files.length > MAX_FILES) {
      this._app.say(`${files.length} files are too many: choose at most ${MAX_FILES}.`, true);
      return;
    }
    this._chosen = null;
    const preprocess = this._asIs.checked ? "none" : "auto";
    this._judge({ subjects: subjectsOf(files), preprocess, given: { files, isSaved } });
  }

  _drawn() {
    if (this._pad.isEmpty) {
      this._inputs += 1;
      this._forgetDrawing();
      this._clear();
      return;
    }
    this._judge({ subjects: null, preprocess: "auto", given: null }); // the drawing as it is when the call is made
  }

  /** Show the images that “Draw” has replaced last, with their boxes and digits. Images on screen take the last place among the earlier ones. */
  async _showEarlier() {
    this._photo.finish();
    const { request, chosen } = this._earlier.pop();
    if (this._request?.subjects) this._earlier.unshift({ request: this._request, chosen: this._chosen });
    this._inputs += 1;
    this._app.say("");
    this._request = request;
    this._chosen = chosen;
    if (request.given) this._asIs.checked = request.preprocess === "none";
    const judged = request.model === this._app.model.model ? this._start(request) : this._judgeAgain();
    if (this._earlier.length === 0) document.getElementById("pad-again").focus({ preventScroll: true }); // the button that was clicked is hidden now
    await judged;
  }

  /** Let D judge an image of its own G, unless a person gives it something else before that is drawn. */
  async _takeExample(seed = Math.floor(Math.random() * 2 ** 31)) {
    const { service, model } = this._app;
    const input = (this._inputs += 1);
    try {
      const blob = await service.picture("v1/samples", { model: model.model, seed, n: 1, format: "png" });
      const { metadata } = await service.details(model.model);
      if (input !== this._inputs) return;
      if (this._app.model.model !== model.model) {
        await this._takeExample(seed); // another model has been chosen meanwhile
        return;
      }
      const file = new File([blob], `image 0 of seed ${seed}.png`, { type: "image/png" });
      this._chosen = null;
      this._judge({ subjects: subjectsOf([file]), preprocess: "none", given: null, example: { seed, shape: metadata.image_shape } });
    } catch (error) {
      if (input === this._inputs) throw error;
    }
  }

  /** Let another model judge what the last one judged, with the same boxes. An image of G that is too large or small for it is drawn anew. */
  async _judgeAgain() {
    const { subjects, example } = this._request;
    const again = { ...this._request, subjects: subjects?.map((subject) => ({ ...subject, result: null })) ?? null };
    if (!example) {
      this._start(again);
      return;
    }
    const [request, { model }] = [this._request, this._app.model];
    const isWanted = () => request === this._request && model === this._app.model.model;
    this._nearest.forget();
    this._showNone("Waiting for D’s opinion …");
    try {
      const { metadata } = await this._app.service.details(model);
      if (!isWanted()) return;
      if (JSON.stringify(metadata.image_shape) === JSON.stringify(example.shape)) this._start(again);
      else await this._takeExample(example.seed);
    } catch (error) {
      if (!isWanted()) return;
      this._showNone("D could not judge this.");
      throw error;
    }
  }

  /** Let D judge a person's own box of a subject instead of the found one, also if another subject is shown meanwhile. */
  async _cut({ key }, box) {
    const change = (this._changes += 1);
    const file = await this._photo.cut(box);
    const has = (subjects) => subjects?.some((subject) => subject.key === key && !(subject.change > change)) ?? false;
    const cut = (subject) => (subject.key === key ? { ...subject, cut: { box, file }, change, result: null } : subject);
    const { subjects = null, prepared } = this._request ?? {};
    if (has(subjects)) {
      this._judge({ ...this._request, subjects: subjects.map(cut) });
      return;
    }
    const hidden = [prepared, ...this._earlier.flatMap(({ request }) => [request, request.prepared])];
    const holder = hidden.find((one) => has(one?.subjects));
    if (holder) holder.subjects = holder.subjects.map(cut); // judged when it is there again
  }

  /** Let D judge a subject after a change; all others keep their results. */
  _replace({ key }, properties) {
    const change = (this._changes += 1);
    const replaced = (subject) => (subject.key === key ? { ...subject, ...properties, change, result: null } : subject);
    this._judge({ ...this._request, subjects: this._request.subjects.map(replaced) });
  }

  /** Let D judge each digit of a subject's picture. A drawing becomes a file for this. */
  async _split({ key, file }) {
    this._photo.cancel();
    if (this._request.subjects === null) {
      this._chosen = null;
      this._judge({ subjects: [{ ...subjectsOf([file])[0], digit: "each" }], preprocess: "auto", given: null });
      return;
    }
    const others = this._request.subjects.filter((subject) => subject.key === key || subject.file !== file);
    this._request = { ...this._request, subjects: others }; // if it was a single digit, the other digits are found again
    this._replace({ key }, { digit: "each", cut: null });
  }

  /** Let the chosen model's D judge what a person gives it. */
  _judge(request) {
    this._inputs += 1;
    this._app.say("");
    this._start(request);
  }

  /** Let the chosen model's D judge something else, and remove the nearest image of what was there before. */
  _start(request) {
    const earlier = this._request;
    this._request = { ...request, model: this._app.model.model };
    if (earlier !== null && !this._isWanted(earlier)) this._score.abort(); // 64 files may take a minute
    this._nearest.forget();
    this._showInput();
    this._score.run(this._request);
  }

  /** Whether an answer to a request may be shown. While a person draws, the answers for earlier strokes are shown, too. */
  _isWanted(request) {
    const wanted = this._request;
    return wanted === request || (wanted?.subjects === null && request.subjects === null && wanted.model === request.model);
  }

  async _scoreNow(request, signal) {
    const { service } = this._app;
    const { model, preprocess } = request;
    const late = setTimeout(() => {
      if (this._request !== null) this._showNone("Waiting for D’s opinion …");
    }, LATE_MS);
    let metadata, subjects;
    try {
      const judged = request.subjects ?? subjectsOf([await this._pad.file()]);
      const steps = request.subjects !== null && preprocess === "auto"; // a drawing is judged at each stroke, so quickly
      [{ metadata }, subjects] = await Promise.all([service.details(model), scored(service, model, judged, { preprocess, steps, signal })]);
    } catch (error) {
      if (!this._isWanted(request)) return;
      this._showNone("D could not judge this.");
      throw error;
    } finally {
      clearTimeout(late);
    }
    if (!this._isWanted(request)) return;
    this._judged = request;
    if (request.subjects) request.subjects = subjects;
    this._sayRefused(subjects);
    this._shown = { subjects, calibration: metadata.calibration, isDrawing: request.subjects === null };
    this._show();
  }

  /** Name the files that are refused among others that D has judged. */
  _sayRefused(subjects) {
    const names = subjects.filter(({ result }) => result.isRefused).map(({ file }) => `“${file.name}”`);
    if (names.length === 0) return;
    this._chosen ??= subjects.find(({ result }) => !result.isRefused);
    this._app.say(`D could not judge ${names.join(", ")}. Choose it below to see why.`, true);
  }

  /** Show a subject, and forget the nearest image of the one before. */
  _choose(subject) {
    this._photo.finish();
    this._chosen = subject;
    this._nearest.forget();
    if (this._judged === this._request) {
      this._show();
      return;
    }
    this._showInput();
    this._score.run(this._request); // the answer is not there yet, or could not be had
  }

  /** Show what is judged, before the answer is there: the pad, or the file. */
  _showInput() {
    const { subjects, preprocess } = this._request ?? { subjects: null };
    const drawn = subjects === null;
    this._verdict.classList.toggle("expected", this._request !== null); // it has its room before it is there
    for (const [id, hidden] of Object.entries({ pad: !drawn, "pad-undo": !drawn, "pad-clear": !drawn, "pad-again": drawn, "photo-hint": drawn })) {
      document.getElementById(id).hidden = hidden;
    }
    const earlier = document.getElementById("judged-earlier");
    earlier.hidden = this._earlier.length === 0;
    earlier.title = [...new Set(this._earlier.at(-1)?.request.subjects.map(({ file }) => file.name))].join(", ");
    document.getElementById("pad-example").hidden = !drawn && preprocess === "auto";
    document.getElementById("found-again").hidden = drawn || !this._subject.cut || !this._subject.found;
    if (drawn) {
      this._photo.hide();
      return;
    }
    const { file, cut } = this._subject;
    this._photo.show(file);
    this._photoHint.textContent = cut ? "D judges what is in your box." : file.name;
  }

  /** Show D's opinion of the chosen subject. */
  _show() {
    const { subjects, isDrawing } = this._shown;
    const subject = standInFor(subjects, this._chosen);
    this._chosen = subject;
    const thumbnails = subjects.length > 1 ? subjects.map((one) => this._thumbnail(one)) : [];
    keepingFocus(this._judgedList, () => this._judgedList.replaceChildren(...thumbnails));
    this._showInput();
    if (!isDrawing) this._markPhoto(subject);
    if (subject.result.found) this._showOpinion(subject);
    else this._showReason(subject);
    this._showSteps(subject);
    if (isDrawing) this._command.replaceChildren();
    else this._offerCurl(subject);
  }

  /** Offer the command that scores a subject as the page does. What is in no folder yet can be saved for it. */
  _offerCurl(subject) {
    const { model, given } = this._request;
    const { file, cut } = subject;
    const sent = cut?.file ?? file;
    const isSaved = cut === null && given?.isSaved === true;
    const name = isSaved ? sent.name : savedName(sent.name);
    this._curl.text = curl("score.json", this._app.service.scoreUrl(model, this._callOf(subject)), upload("files", name));
    URL.revokeObjectURL(this._save.href);
    this._save.hidden = isSaved;
    if (!isSaved) Object.assign(this._save, { download: name, href: URL.createObjectURL(sent) });
    this._command.replaceChildren(this._curl.element, this._save);
  }

  /** The parameters of the call that scores a subject alone. */
  _callOf(subject) {
    return callOf(subject, this._request.preprocess, this._digitsOf(subject).length);
  }

  /** The subjects that are digits of the same file. */
  _digitsOf({ file }) {
    return this._shown.subjects.filter((other) => other.file === file);
  }

  /** Draw the box of a subject on its picture, and the boxes of the other digits in it. */
  _markPhoto(subject) {
    const editable = this._request.preprocess === "auto";
    const digits = this._digitsOf(subject);
    const boxOf = ({ cut, found }) => cut?.box ?? found;
    if (this._marked?.key !== subject.key) this._photo.cancel(); // a change of that one's box is not for this one
    this._marked = subject;
    this._boxed = digits.filter((one) => boxOf(one) !== null);
    this._photo.mark({ boxes: editable ? this._boxed.map(boxOf) : [], chosen: this._boxed.indexOf(subject), own: subject.cut !== null, editable });
    const isOneOfMany = this._shown.subjects.some(({ file }) => file !== subject.file);
    this._photoHint.textContent = (isOneOfMany ? `“${subject.file.name}”: ` : "") + hintOf(subject, editable, digits.length);
  }

  _thumbnail(subject) {
    const { file, digit, result } = subject;
    const name = digit === null ? file.name : `digit ${digit + 1} of ${file.name}`;
    const words = `${name}: ${result.found ? `D(x) = ${format(result.probability)}` : plain(result.reason)}`;
    const pressed = String(subject === this._chosen);
    return el(
      "button",
      { type: "button", class: "thumbnail", "aria-label": words, "aria-pressed": pressed, title: words, onclick: () => this._choose(subject) },
      result.found ? el("img", { class: "pixels", src: png(result.input), alt: "", width: 56, height: 56 }) : el("span", { class: "none" }, withoutScore(result)),
      `${digit === null ? "" : `${digit + 1}: `}${format(result.probability)}`,
    );
  }

  /** Say why D has no opinion of a subject, and what a person can do. */
  _showReason(subject) {
    const words = el("p", { class: "verdict-words" }, el("strong", {}, "D did not judge this: "), `${plain(subject.result.reason)}.`);
    const split = el("button", { type: "button", class: "primary", onclick: () => this._split(subject) }, "Score each digit");
    this._verdict.replaceChildren(words, ...(ADVICE.test(subject.result.reason) ? [el("p", {}, split)] : []));
    this._nearest.withdraw();
    this._app.announce(words.textContent);
  }

  _showOpinion({ file, result }) {
    const said = opinion(result, this._shown.calibration);
    const words = said.querySelector(".verdict-words");
    this._verdict.replaceChildren(this._seen.show(result, words), said);
    this._nearest.offer(this._request.model, result.input, file.name);
    this._app.announce(words.textContent);
  }

  /** Show the stages of a photo's preparation. Where several images were judged together, they are asked for now. */
  _showSteps(subject) {
    const { steps } = subject.result;
    this._preparation.replaceChildren(...(steps?.length ? [preparation(steps)] : []));
    if (steps || this._shown.isDrawing || !this._callOf(subject).steps) return;
    const { model } = this._request;
    const isShown = () => this._chosen === subject && this._shown.subjects.includes(subject);
    this._app.attempt(async () => {
      try {
        const [again] = await scored(this._app.service, model, [{ ...subject, result: null }], { preprocess: "auto", steps: true });
        subject.result.steps = again?.result.steps ?? []; // without any if the digit is not found this time
      } catch (error) {
        if (isShown()) throw error;
      }
      if (isShown() && subject.result.steps) this._showSteps(subject);
    }, "judge: steps");
  }

  /** Judge the drawing on the pad no longer. It stays on the pad, which only models of digits show. */
  _forgetDrawing() {
    this._request = null;
    this._score.abort();
  }

  _clear() {
    this._nearest.forget();
    this._showInput();
    const start = this._app.model.subject === "digits" ? "As soon as you draw" : "As soon as you choose a picture";
    this._showNone(`Nothing to judge yet. ${start}, D’s opinion appears here.`);
  }

  /** Remove the opinion on screen, and say why there is none. */
  _showNone(why) {
    this._judged = null;
    this._nearest.withdraw();
    for (const part of [this._judgedList, this._preparation, this._command]) part.replaceChildren();
    this._verdict.replaceChildren(el("p", { class: "hint empty" }, why));
  }
}

/** Say in a word or two why a file has no score. */
function withoutScore({ isRefused, reason }) {
  if (isRefused) return "refused";
  return ADVICE.test(reason) ? "several digits" : "none found";
}

/** The service's reason why nothing is found, without its advice to those who call the API. */
function plain(reason) {
  return reason.replace(ADVICE, "");
}

/** What a person can do with the box on a photo. */
function hintOf({ digit, cut, found }, editable, digits) {
  if (!editable) return "D judges the whole image, as it is.";
  if (cut) return "D judges what is in your box.";
  if (!found) return "Drag the dashed box’s corners to a digit.";
  return `${digit === null ? "" : `Digit ${digit + 1} of ${digits}. `}If the box is wrong, drag a corner.`;
}
