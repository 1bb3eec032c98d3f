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

/** Append a slider below its label. */
export function slider(parent, label, value, min, max, step) {
  const control = add(add(parent, "label", {}, label), "input", { type: "range", min, max, step });
  control.value = value;
  return control;
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

/** Call `move(x, y)` with a point of the SVG's own coordinates while a handle is dragged by mouse, pen or finger. */
export function drag(svg, handle, move) {
  const follow = (event) => {
    if (!handle.hasPointerCapture(event.pointerId)) return;
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    move(at.x, at.y);
  };
  handle.addEventListener("pointerdown", (event) => {
    event.preventDefault(); // neither selects text nor scrolls
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
    event.stopPropagation(); // JupyterLab moves between cells by the same keys
  });
}
