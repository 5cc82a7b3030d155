// Functions that make elements of a page. No string is ever parsed as HTML.

/**
 * Make an element.
 *
 * Names with a dash, `role`, `for` and `class` become attributes, `on…` functions become listeners, and all others become
 * properties. Values that are undefined or null are left out. Children are nodes or text.
 *
 * An input gets `autocomplete="off"`: otherwise a browser that comes back to the page restores its value. It takes inputs
 * without a name by their order, so the value of one may land in another one.
 */
export function el(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  if (tag === "input") element.autocomplete = "off";
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name.includes("-") || ["role", "class", "for"].includes(name)) element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** Make an SVG element; every name becomes an attribute. */
export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** Format a number for people: `digits` significant digits, a true minus sign, an exponent only if very small or large. */
export function format(value, digits = 3) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  const size = Math.abs(value);
  const text = size !== 0 && (size < 1e-4 || size >= 1e7) ? value.toExponential(1) : Number(value.toPrecision(digits)).toLocaleString("en", { maximumSignificantDigits: digits });
  return text.replace("-", "−");
}
