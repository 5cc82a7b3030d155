// The keyboard's place among controls that are made anew.

/**
 * Replace the controls in an element. If one of them had the focus, the one at its place has it afterwards, or the last one.
 *
 * @param {HTMLElement} element its children are the controls
 * @param {() => void} replace
 * @returns {boolean} false if the focus was here and there is no control left that could take it
 */
export function keepingFocus(element, replace) {
  const place = [...element.children].indexOf(document.activeElement);
  replace();
  if (place < 0) return true;
  const controls = [...element.querySelectorAll(":scope > button")];
  controls[Math.min(place, controls.length - 1)]?.focus({ preventScroll: true });
  return controls.length > 0;
}
