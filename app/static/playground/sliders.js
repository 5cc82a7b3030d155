// A finger that scrolls the page may begin on a slider. The browser moves the slider as soon as the finger touches it; when
// the browser then takes the touch for scrolling (`pointercancel`), the slider goes back to where it was.

export function keepSlidersWhileScrolling() {
  let touched = null;
  addEventListener("pointerdown", ({ target, pointerType }) => {
    const isSlider = pointerType !== "mouse" && target instanceof HTMLInputElement && target.type === "range";
    touched = isSlider ? { slider: target, value: target.value } : null;
  }, { capture: true });
  addEventListener("pointercancel", () => {
    if (touched && touched.slider.value !== touched.value) {
      touched.slider.value = touched.value;
      touched.slider.dispatchEvent(new Event("input", { bubbles: true }));
    }
    touched = null;
  }, { capture: true });
}
