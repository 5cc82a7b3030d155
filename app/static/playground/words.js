// The words for what a model draws: handwritten digits, or pictures of another kind.

const WORDS = {
  digits: {
    "draw-title": "Nobody wrote these digits",
    "class-legend": "Digit",
    "class-hint": "The digit that G draws.",
    "walk-title": "Walk from one digit to another",
    "judge-title": "Let D judge your own digit",
    "judge-lede": "Draw a digit, or show D a photo or a scan of one, and see how real it looks to D.",
    "learn-kind": "digits",
  },
  pictures: {
    "draw-title": "Nobody took or drew these pictures",
    "class-legend": "Class",
    "class-hint": "The kind of picture that G draws.",
    "walk-title": "Walk from one picture to another",
    "judge-title": "Let D judge your own picture",
    "judge-lede": "Show D a picture of the kind that the model draws, and see how real it looks to D. D sees the middle square.",
    "learn-kind": "pictures",
  },
};

const FILES = { digits: { one: "digit", many: "digits" }, pictures: { one: "picture", many: "pictures" } };

/** Write the words of a subject, "digits" or "pictures", into the page. Only what fits the subject is shown. */
export function writeWords(subject) {
  for (const [id, text] of Object.entries(WORDS[subject])) document.getElementById(id).textContent = text;
  document.getElementById("main").dataset.subject = subject;
}

/** The name of a file with one image, or with many, without its ending. */
export function fileName(subject, number) {
  return FILES[subject][number];
}

/** The name of a class for people: with its number, if it has a name of its own. */
export function nameOfClass(names, label) {
  const name = names[label] ?? String(label);
  return name === String(label) ? name : `${name} (${label})`;
}

/**
 * The parameter that asks for a class, as the service's permanent URLs write it: `digit` for the classes that are digits, else `class`.
 *
 * @param {string[]} names the names of the model's classes
 * @param {number} label the number of the class
 * @returns {["digit" | "class", string]}
 */
export function parameterOf(names, label) {
  const name = names[label];
  return label <= 9 && name === String(label) ? ["digit", name] : ["class", name];
}

/** The number of the class that an address asks for by `digit` or `class`; null if it asks for none that the model has. */
export function labelOf(names, { digit, class: named }) {
  const byName = named ? names.indexOf(named) : -1;
  if (byName >= 0) return byName;
  const text = named || digit;
  const number = /^[0-9]{1,4}$/.test(text) ? Number(text) : names.length;
  return number < names.length ? number : null;
}
