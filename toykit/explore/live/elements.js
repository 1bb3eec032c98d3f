// Small helpers for pages: elements, labelled controls, one redraw per frame.

const SVG = "http://www.w3.org/2000/svg";

/** Append an HTML element with attributes and text. */
export function add(parent, tag, attributes = {}, words = "") {
  return fill(document.createElement(tag), parent, attributes, words);
}

/** Append an SVG element with attributes and text. */
export function draw(parent, tag, attributes = {}, words = "") {
  return fill(document.createElementNS(SVG, tag), parent, attributes, words);
}

export function set(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
}

function fill(element, parent, attributes, words) {
  set(element, attributes);
  if (words) element.textContent = words;
  parent.append(element);
  return element;
}

/** Append a drop-down list below its label. */
export function choice(parent, label, options, value) {
  const list = add(add(parent, "label", {}, label), "select");
  for (const option of options) add(list, "option", {}, option);
  list.value = value;
  return list;
}

/** Append a slider below its label, with its number; `slide` moves it. */
export function slider(parent, label, value, min, max, step) {
  const box = add(parent, "label", {}, label), control = add(box, "input", { type: "range", min, max, step });
  add(box, "output", { "aria-hidden": "true" });
  control.addEventListener("input", () => slide(control, control.value));
  slide(control, value);
  return control;
}

/** Move a slider, and write its number. */
export function slide(control, value) {
  control.value = value;
  control.nextSibling.textContent = Number(Number(control.value).toFixed(2));
}

/** Append a button that calls a function. */
export function button(parent, words, press) {
  const made = add(parent, "button", { type: "button" }, words);
  made.addEventListener("click", press);
  return made;
}

/** Return a function that asks for one call of `show` in the next frame, however often it is called. */
export function everyFrame(show) {
  let due = 0;
  return () => { due ||= requestAnimationFrame(() => { due = 0; show(); }); };
}

/** Call `show` when the page turns dark or light, as long as `root` is in it. */
export function onScheme(root, show) {
  const dark = matchMedia("(prefers-color-scheme: dark)"), watch = new MutationObserver(changed);
  function changed() {
    if (root.isConnected) return show();
    dark.removeEventListener("change", changed);
    return watch.disconnect();
  }
  dark.addEventListener("change", changed);
  watch.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-light", "data-theme"] });
}

/** Call `move(x, y)` while a handle, whose point is at `where()`, is dragged by mouse, pen or finger; in the SVG's own coordinates. */
export function drag(svg, handle, where, move) {
  let aside = [0, 0]; // from the point to where it was grabbed
  const at = (event) => new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
  const follow = (event) => {
    if (handle.hasPointerCapture(event.pointerId)) move(at(event).x - aside[0], at(event).y - aside[1]);
  };
  handle.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    event.preventDefault(); // neither selects text nor scrolls
    const [x, y] = where();
    aside = [at(event).x - x, at(event).y - y];
    handle.focus();
    handle.setPointerCapture(event.pointerId);
  });
  handle.addEventListener("touchstart", (event) => event.preventDefault(), { passive: false });
  handle.addEventListener("pointermove", follow);
}

const ARROW_KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

/** Call `step(right, up)` for arrow keys, in steps of 1, or 5 with Shift, and `other(key)` for further keys that it takes. */
export function keys(handle, step, other = () => false) {
  handle.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const arrow = ARROW_KEYS[event.key], pace = event.shiftKey ? 5 : 1;
    if (arrow) step(arrow[0] * pace, arrow[1] * pace);
    else if (!other(event.key)) return;
    event.preventDefault();
  });
}
