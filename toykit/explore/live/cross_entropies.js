// The cross-entropies of Fig. 3 over predictions and over labels, their gradients, and which side mimics the other.
import { CROSS_ENTROPIES } from "./formulas.js";
import { add, button, drag, draw, everyFrame, set, slide, slider } from "./elements.js";
import { number, shareable } from "../links.js";
import { chart } from "./chart.js";

const LABELLINGS = {
  "an unknown label": { label: 0.5, prediction: 0.9 },
  "a wrong label": { label: 0.98, prediction: 0.05 },
  "unsure together": { label: 0.5, prediction: 0.5 },
};
const CURVE = Array.from({ length: 399 }, (_, k) => (k + 1) / 400), GRID = Array.from({ length: 1001 }, (_, k) => k / 1000);
const HEAD = ["", "loss", "dH/dl at sigma", "best sigma for this y", "dH/dl at y", "best y for this sigma"];

const pair = (x) => [x, 1 - x];

/** The loss of the label (y, 1 - y) and the prediction (x, 1 - x). */
export const loss = (name, y, x) => CROSS_ENTROPIES[name](pair(y), pair(x));

/** The derivative of f(sigmoid(l)) in l, by central differences. */
export function gradient(f, x) {
  const logit = Math.log(x / (1 - x)), sigmoid = (l) => 1 / (1 + Math.exp(-l));
  return (f(sigmoid(logit + 1e-4)) - f(sigmoid(logit - 1e-4))) / 2e-4;
}

/** The minimiser of f on the grid of [0, 1], or null where f is flat. */
function minimiser(f) {
  const values = GRID.map(f), lowest = Math.min(...values);
  return Math.max(...values) - lowest < 1e-9 ? null : GRID[values.indexOf(lowest)];
}

function verdict(best, other) {
  if (best === null) return "anything goes";
  return Math.abs(best - other) < 1 / (GRID.length - 1) ? "mimics it" : `goes to ${best}`;
}

/** Build the explorer in an element. `start`: label, prediction, lines {name: {color, dash}}. */
export function crossEntropies(root, start) {
  const state = { label: start.label, prediction: start.prediction }, names = Object.keys(start.lines);
  const main = add(root, "div", { class: "main" });
  const axis = (label) => ({ label, low: 0, high: 1, ticks: [0, 0.5, 1] });
  const range = () => ({ label: "H(y, sigma)", low: -0.1, high: 4, ticks: [0, 1, 2, 3, 4] });
  const sides = {
    prediction: side("prediction", "given the label: the loss of sigma", "sigma = (x, 1 - x): x", [0.01, 0.99]),
    label: side("label", "given the prediction: the loss of y", "y = (x, 1 - x): x", [0, 1]),
  };
  function side(name, title, words, [low, high]) {
    const made = chart(main, title, axis(words), range());
    const rule = draw(made.view, "line", { y1: 0, y2: 300, class: "rule" });
    const parts = names.map((entropy, k) => {
      const { color } = start.lines[entropy], size = 12 - 2 * k; // each smaller than the one below it, so that all stay visible
      return { line: made.line(start.lines[entropy], entropy),
        best: draw(made.view, "path", { d: `M0-${size}L${size} 0L0 ${size}L-${size} 0Z`, fill: color, class: "mark" }),
        here: draw(made.view, "circle", { r: 9 - k, fill: color, class: "mark" }) };
    });
    const knob = draw(made.view, "g", { class: "handle", "aria-hidden": "true", "data-knob": name });
    draw(knob, "circle", { r: 24, class: "reach" });
    draw(knob, "circle", { r: 11, class: "grip" });
    drag(made.view, knob, () => [made.toX(state[name]), 300],
      (x) => change(name, Math.min(Math.max(Math.round(100 * made.fromX(x)) / 100, low), high))); // as the sliders
    return { made, rule, parts, knob };
  }
  const legend = add(root, "div", { class: "legend" });
  for (const name of names) {
    const entry = add(legend, "span");
    const line = draw(draw(entry, "svg", { viewBox: "0 0 40 10" }), "path", { d: "M0 5H40", "stroke-width": 2.4 });
    set(line, { stroke: start.lines[name].color, "stroke-dasharray": start.lines[name].dash });
    entry.append(name);
  }
  const controls = add(root, "div", { class: "controls" });
  const sliders = {
    label: slider(controls, "label y = (x, 1 - x): x", state.label, 0, 1, 0.01),
    prediction: slider(controls, "prediction sigma = (x, 1 - x): x", state.prediction, 0.01, 0.99, 0.01),
  };
  const presets = add(controls, "div", { class: "presets", role: "group", "aria-label": "situations" });
  for (const [words, situation] of Object.entries(LABELLINGS)) button(presets, words, () => jump(situation));
  button(presets, "reset", () => jump(start));
  const table = add(add(root, "div", { class: "table" }), "table");
  add(root, "p", { class: "caption" }, `Drag the handles on the lower edges. Circles mark the current label and prediction, diamonds the
    minimiser for the other side. Set y to 0.5: CE still pulls the prediction to the uncertainty of the label; CCE and RCE have
    no gradient.`);

  const show = everyFrame(() => {
    const { label: y, prediction: x } = state, rows = [];
    names.forEach((name, k) => {
      const now = loss(name, y, x), overX = (at) => loss(name, y, at), overY = (at) => loss(name, at, x);
      const best = { prediction: minimiser(overX), label: minimiser(overY) };
      for (const [which, f] of [["prediction", overX], ["label", overY]]) {
        const { made, parts } = sides[which], mark = best[which];
        parts[k].line(CURVE.map((at) => [at, f(at)]));
        put(parts[k].here, made, state[which], now);
        put(parts[k].best, made, mark, mark === null ? Infinity : f(mark));
      }
      rows.push([name, now.toFixed(3), gradient(overX, x).toFixed(3), verdict(best.prediction, y),
        y > 0 && y < 1 ? gradient(overY, y).toFixed(3) : "(a corner)", verdict(best.label, x)]);
    });
    for (const [which, { made, rule, knob }] of Object.entries(sides)) {
      const at = made.toX(state[which]);
      set(rule, { x1: at, x2: at });
      set(knob, { transform: `translate(${at} 300)` });
      slide(sliders[which], state[which]);
    }
    table.replaceChildren();
    [HEAD, ...rows].forEach((cells, k) => {
      const row = add(table, "tr");
      for (const words of cells) add(row, k ? "td" : "th", {}, words.replace(/^-(0\.0+)$/, "$1"));
    });
    announce();
  });
  const announce = shareable(root, { label: number(0, 1), prediction: number(0.01, 0.99) }, () => state, jump);
  function put(mark, made, x, y) {
    mark.style.display = y <= 4 && x !== null ? "" : "none";
    if (y <= 4 && x !== null) set(mark, { transform: `translate(${made.toX(x)} ${made.toY(y)})` });
  }
  function change(which, value) {
    state[which] = value;
    show();
  }
  function jump({ label = state.label, prediction = state.prediction }) {
    Object.assign(state, { label, prediction });
    show();
  }
  for (const [which, control] of Object.entries(sliders)) {
    control.addEventListener("input", () => change(which, Number(control.value)));
  }
  show();
}
