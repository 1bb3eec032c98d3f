// Fig. 2: the surface of P over two logits, a cut through it, and the direction of gradient descent.
import { RELAXATIONS } from "./formulas.js";
import { add, button, choice, drag, draw, everyFrame, onScheme, set, slide, slider } from "./elements.js";
import { number, oneOf, shareable } from "../links.js";
import { chart } from "./chart.js";
import { cividis } from "./colors.js";

const CUTS = {
  "Q gets stuck": { relaxation: "Q", cut: 3 },
  "LQ pulls": { relaxation: "LQ", cut: 3 },
  "unsure together": { relaxation: "BL", cut: 0 },
};
const ARROWS = 9, POINTS = 121, SIZE = 420;

const binary = (l) => { const x = 1 / (1 + Math.exp(-2 * l)); return [x, 1 - x]; };

/** P over two logits, each of the first class. */
export const over = (name, i, j) => RELAXATIONS[name](binary(i), binary(j));

/** dP/dl_i, by central differences. */
export const slope = (name, i, j) => (over(name, i + 1e-4, j) - over(name, i - 1e-4, j)) / 2e-4;

const spread = (limit, n) => Array.from({ length: n }, (_, k) => limit * ((2 * k) / (n - 1) - 1));

/** Draw the surface, seen from an angle, far parts first; `cut` is drawn over it. */
function paintSurface(canvas, { name, limit, n, turn, tilt, cut, color, ink }) {
  const pen = canvas.getContext("2d"), at = spread(limit, n), heights = at.map((j) => at.map((i) => over(name, i, j)));
  const highest = Math.max(...heights.flat());
  const [c, s, up, flat] = [Math.cos(turn), Math.sin(turn), Math.cos(tilt), Math.sin(tilt)], unit = 0.31 * SIZE;
  const project = (i, j, height) => {
    const [x, y, z] = [i / limit, j / limit, (1.6 * height) / highest - 0.8], away = x * c + y * s;
    return [SIZE / 2 + unit * (y * c - x * s), SIZE / 2 + unit * (away * flat - z * up), away];
  };
  const stroke = (points, width) => {
    pen.beginPath();
    for (const [x, y] of points) pen.lineTo(x, y);
    pen.lineWidth = width;
    pen.stroke();
  };
  pen.setTransform(2, 0, 0, 2, 0, 0);
  pen.clearRect(0, 0, SIZE, SIZE);
  [pen.strokeStyle, pen.fillStyle, pen.font, pen.textAlign] = [ink, ink, "15px system-ui, sans-serif", "center"];
  stroke([[-1, -1], [1, -1], [1, 1], [-1, 1], [-1, -1]].map(([i, j]) => project(limit * i, limit * j, 0)), 1);
  const near = (value) => (value >= 0 ? 1.22 : -1.22) * limit; // the sides of the base that face the reader
  pen.fillText("l_i", ...project(0, near(s), 0).slice(0, 2));
  pen.fillText("l_j", ...project(near(c), 0, 0).slice(0, 2));
  const quads = [];
  for (let row = 0; row + 1 < n; row++) {
    for (let column = 0; column + 1 < n; column++) {
      const corners = [[row, column], [row, column + 1], [row + 1, column + 1], [row + 1, column]];
      const points = corners.map(([r, k]) => project(at[k], at[r], heights[r][k]));
      const height = corners.reduce((total, [r, k]) => total + heights[r][k], 0) / 4;
      quads.push({ points, away: points[0][2] + points[2][2], color: cividis(height / highest) });
    }
  }
  for (const { points, color: fill } of quads.sort((a, b) => a.away - b.away)) {
    pen.beginPath();
    for (const [x, y] of points) pen.lineTo(x, y);
    pen.closePath();
    pen.fillStyle = pen.strokeStyle = fill;
    pen.lineWidth = 0.7;
    pen.fill();
    pen.stroke(); // closes the seams between neighbours
  }
  pen.strokeStyle = color;
  stroke(spread(limit, POINTS).map((i) => project(i, cut, over(name, i, cut))), 3);
}

/** Build the explorer in an element. `start`: relaxation, limit, n, cut, names, lines {P, descent: {color, dash}}. */
export function potentials(root, start) {
  const { limit, n, lines } = start, state = { relaxation: start.relaxation, cut: start.cut, turn: 230, tilt: 25 };
  const main = add(root, "div", { class: "main" }), left = add(main, "figure");
  add(left, "figcaption", {}, "P over logits: drag to turn");
  const canvas = add(left, "canvas", { class: "surface", width: 2 * SIZE, height: 2 * SIZE, role: "img", "aria-label": "surface of P" });
  const axis = (label) => ({ label, low: -1.15 * limit, high: 1.15 * limit, ticks: [-limit, 0, limit] });
  const section = chart(main, "the cut: P (line), descent -dP/dl_i (dashed)", axis("l_i"), { low: 0, high: 1, ticks: [] });
  const curves = { P: section.line(lines.P, "P"), descent: section.line(lines.descent, "descent") };
  const plane = chart(main, "direction of descent: -dP/dl", axis("l_i"), axis("l_j"), 380, 380);
  const arrows = draw(plane.view, "path", { class: "line", "data-line": "arrows" });
  const knob = draw(plane.view, "g", { class: "handle", "aria-hidden": "true", "data-knob": "cut" });
  draw(knob, "path", { d: `M${plane.toX(-limit)} 0H${plane.toX(limit)}`, stroke: lines.P.color, "stroke-width": 2.4 });
  draw(knob, "rect", { x: 0, y: -18, width: 380, height: 36, class: "reach" });
  draw(knob, "circle", { cx: plane.toX(limit), r: 11, class: "grip" });
  drag(plane.view, knob, () => [0, plane.toY(state.cut)], (x, y) => change({ cut: Math.min(Math.max(plane.fromY(y), -limit), limit) }));

  const controls = add(root, "div", { class: "controls" });
  const shown = choice(controls, "relaxation", start.names, state.relaxation);
  const fixed = slider(controls, "l_j of the cut", state.cut, -limit, limit, "any");
  const turned = slider(controls, "turn the surface, degrees", state.turn, 0, 360, 1);
  const tilted = slider(controls, "tilt the surface, degrees", state.tilt, 5, 85, 1);
  const presets = add(controls, "div", { class: "presets", role: "group", "aria-label": "situations" });
  for (const [words, { relaxation, cut }] of Object.entries(CUTS)) {
    button(presets, words, () => change({ relaxation, cut: Math.min(cut, limit) }));
  }
  button(presets, "reset", () => change({ relaxation: start.relaxation, cut: start.cut, turn: 230, tilt: 25 }));
  const longest = add(root, "p", { class: "caption", "aria-live": "polite" });
  add(root, "p", { class: "caption" }, `The orange line is the same cut in all three pictures. Where the surface is flat, the
    gradient vanishes, the arrows are dots and descent does not move. Move the cut to either end and compare Q with LQ, and NQ
    with CD.`);

  const show = everyFrame(() => {
    const { relaxation: name, cut, turn, tilt } = state;
    shown.value = name;
    slide(fixed, cut);
    slide(turned, turn);
    slide(tilted, tilt);
    paintSurface(canvas, { name, limit, n, cut, turn: (turn * Math.PI) / 180, tilt: (tilt * Math.PI) / 180, color: lines.P.color,
      ink: getComputedStyle(root).color });
    const at = spread(limit, POINTS), height = at.map((i) => over(name, i, cut)), pull = at.map((i) => -slope(name, i, cut));
    const low = Math.min(...pull, 0), high = Math.max(...height, ...pull), room = 0.05 * (high - low);
    const step = [0.25, 0.5, 1, 2, 5].find((size) => (high - low) / size < 6) ?? 10;
    section.range(low - room, high + room,
      Array.from({ length: 40 }, (_, k) => (k - 20) * step).filter((tick) => tick >= low && tick <= high));
    curves.P(at.map((i, k) => [i, height[k]]));
    curves.descent(at.map((i, k) => [i, pull[k]]));
    set(knob, { transform: `translate(0 ${plane.toY(cut)})` });
    longest.textContent = `longest arrow: |dP/dl| = ${field(name).toFixed(2)}`;
    announce();
  });
  const kinds = { relaxation: oneOf(start.names), cut: number(-limit, limit), turn: number(0, 360), tilt: number(5, 85) };
  const announce = shareable(root, kinds, () => state, change);

  /** Draw the arrows; the longest is one step of the grid, a vanishing one a dot. Return the longest gradient. */
  function field(name) {
    const at = spread(limit, ARROWS), all = at.flatMap((j) => at.map((i) => [i, j, -slope(name, i, j), -slope(name, j, i)]));
    const most = Math.max(...all.map(([, , di, dj]) => Math.hypot(di, dj))), scale = (at[1] - at[0]) / most;
    set(arrows, { d: all.map(([i, j, di, dj]) => {
      const [x, y, x2, y2] = [plane.toX(i), plane.toY(j), plane.toX(i + scale * di), plane.toY(j + scale * dj)];
      const length = Math.hypot(x2 - x, y2 - y), dot = `M${x - 1.2} ${y}h2.4`;
      if (length < 5) return `${dot}M${x} ${y}L${x2} ${y2}`;
      const [ux, uy] = [(5 * (x2 - x)) / length, (5 * (y2 - y)) / length];
      return `${dot}M${x} ${y}L${x2} ${y2}M${x2 - ux - uy} ${y2 - uy + ux}L${x2} ${y2}L${x2 - ux + uy} ${y2 - uy - ux}`;
    }).join("") });
    return most;
  }
  function change(values) {
    Object.assign(state, values);
    show();
  }
  let last = null;
  canvas.addEventListener("pointerdown", (event) => { canvas.setPointerCapture(event.pointerId); last = [event.clientX, event.clientY]; });
  canvas.addEventListener("pointermove", (event) => {
    if (!last || !canvas.hasPointerCapture(event.pointerId)) return;
    const [dx, dy] = [event.clientX - last[0], event.clientY - last[1]];
    last = [event.clientX, event.clientY];
    change({ turn: (state.turn - 0.6 * dx + 360) % 360, tilt: Math.min(Math.max(state.tilt + 0.4 * dy, 5), 85) });
  });
  shown.addEventListener("change", () => change({ relaxation: shown.value }));
  fixed.addEventListener("input", () => change({ cut: Number(fixed.value) }));
  turned.addEventListener("input", () => change({ turn: Number(turned.value) }));
  tilted.addEventListener("input", () => change({ tilt: Number(tilted.value) }));
  onScheme(root, show);
  show();
}
