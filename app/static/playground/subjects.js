// What D judges: files, single digits of a file, or a person's own cut of a file.

const MAX_STEPS = 16; // the service gives the steps of the preparation for this many digits together at most

/**
 * @typedef {object} Subject
 * @property {symbol} key names the subject: its copies with another cut or result have the same one, whatever their place
 * @property {File} file
 * @property {number | "each" | null} digit which digit of the file, in reading order; "each": all of them, as soon as they are
 *   found; null: the file as a whole
 * @property {{box: number[], file: File} | null} cut a person's own box, and the pixels in it
 * @property {number[] | null} found the box that the service found, as long as the whole file was judged
 * @property {object | null} result the service's answer; null before it is there. With `isRefused`, the service does not take
 *   the file, and `reason` has its words
 */

/** Subjects of files as they are. */
export function subjectsOf(files) {
  return files.map((file) => ({ key: Symbol(file.name), file, digit: null, cut: null, found: null, result: null }));
}

/**
 * The subject of a list that another one stands for: itself, by its key, or the first of its file, or the first of all.
 *
 * @param {Subject[]} subjects
 * @param {Subject | null} wanted
 */
export function standInFor(subjects, wanted) {
  return subjects.find(({ key }) => key === wanted?.key) ?? subjects.find(({ file }) => file === wanted?.file) ?? subjects[0];
}

/**
 * Let D score those subjects that have no result yet.
 *
 * @param {Service} service
 * @param {string} model
 * @param {Subject[]} subjects
 * @param {{preprocess: string, steps: boolean, signal?: AbortSignal}} options with `steps`, the result has the steps of the preparation if it is
 *   the only one that is asked for: those of many would be megabytes
 * @returns {Promise<Subject[]>} with results; a subject of "each" digit is replaced by one for each digit that was found
 * @throws {Error} that of the first file if all files are refused
 */
export async function scored(service, model, subjects, { preprocess, steps, signal }) {
  const open = subjects.filter(({ result }) => result === null);
  const whole = open.filter(({ digit, cut }) => digit === null || cut);
  const split = [...new Set(open.filter((subject) => !whole.includes(subject)).map(({ file }) => file))];
  const asked = { preprocess, signal, explain: true, steps: steps && open.length === 1 && open[0].digit !== "each" };
  const [ofWhole, ...ofSplit] = await Promise.all([
    whole.length ? scoredFiles(service, model, whole.map(({ file, cut }) => cut?.file ?? file), asked) : [],
    ...split.map((file) => service.score(model, [file], { ...asked, split: true })),
  ]);
  const results = subjects.flatMap((subject) => {
    if (subject.result !== null) return [subject];
    if (whole.includes(subject)) return [withResult(subject, ofWhole[whole.indexOf(subject)])];
    const digits = ofSplit[split.indexOf(subject.file)];
    if (subject.digit === "each") return digits.map((result, digit) => withResult({ ...subject, key: Symbol(`${subject.file.name} ${digit}`), digit }, result));
    return [withResult(subject, digits[subject.digit] ?? withoutDigit(subject))]; // it stays: another model may find it again
  });
  const refused = results.filter(({ result }) => result.isRefused);
  if (refused.length > 0 && refused.length === results.length) throw new Error(refused[0].result.reason);
  return results;
}

/** D's results of whole files. If some are refused, the halves of the list are asked for, until those that are good are known. */
async function scoredFiles(service, model, files, asked) {
  try {
    return await service.score(model, files, asked);
  } catch (error) {
    if (!error.isRefusal) throw error;
    if (files.length === 1) return [{ isRefused: true, found: false, reason: error.message, box: null, probability: null, steps: [] }];
    const half = Math.ceil(files.length / 2);
    const results = [];
    for (const part of [files.slice(0, half), files.slice(half)]) results.push(...(await scoredFiles(service, model, part, asked)));
    return results;
  }
}

/**
 * The parameters of the call that scores one subject alone.
 *
 * @param {Subject} subject
 * @param {string} preprocess
 * @param {number} digits how many digits of its file there are
 */
export function callOf({ digit, cut }, preprocess, digits) {
  const split = digit !== null && cut === null;
  return { preprocess, explain: true, split, steps: preprocess === "auto" && !(split && digits > MAX_STEPS) };
}

/** The result of a digit that the chosen model does not find in its file. */
function withoutDigit({ digit }) {
  return { found: false, reason: `for this model, the picture has no digit ${digit + 1}`, box: null, probability: null, steps: [] };
}

function withResult(subject, result) {
  return { ...subject, result, found: subject.cut ? subject.found : result.box };
}
