// Two labels p and q on the triangle, the six relaxations between them, and the moves of Fig. 1.
import { RELAXATIONS, potential } from "./formulas.js";
import { add, button, choice, drag, draw, everyFrame, keys, set, slide, slider } from "./elements.js";
import { distribution, number, oneOf, shareable } from "../links.js";
import { CIVIDIS, cividis } from "./colors.js";

const CEILING = 3; // the largest value of bars and colours; larger values are written as text
const HEIGHT = Math.sqrt(3) / 2;
const SIDE = 400, PIXELS = 360; // the triangle's side in the drawing's units, and in pixels of the colours
const MOVES = {
  a: (t) => [[1 - t, t, 0], [1 - t, t, 0]],
  b: (t) => [[1, 0, 0], [0, t, 1 - t]],
};
const PLACES = {
  "Q gets stuck": { p: [1, 0, 0], q: [0, 0.5, 0.5], relaxation: "Q" },
  "unsure together": { p: [0.5, 0.5, 0], q: [0.5, 0.5, 0], relaxation: "BL" },
  "firmly different": { p: [1, 0, 0], q: [0, 1, 0], relaxation: "CD" },
};
const CAPTION = `Drag p and q, or select one by Tab and use the arrow keys (Shift: larger steps), A, B, C for a corner and M for
the middle. Dark colours are low values of P(p, .), with a white line at every 1/4. Move q onto p: the bars that remain belong
to the relaxations that penalise two equal uncertain labels.`;

/** The drawing's point of a distribution. */
const toDrawing = ([, b, c]) => [SIDE * (b + c / 2), SIDE * HEIGHT * (1 - c)];

/** The distribution drawn at a point; outside the triangle, negative shares become 0. */
export function fromDrawing(x, y) {
  const c = 1 - y / (SIDE * HEIGHT), b = x / SIDE - c / 2;
  const shares = [1 - b - c, b, c].map((share) => Math.max(share, 0)), all = shares[0] + shares[1] + shares[2];
  return shares.map((share) => share / all);
}

/** Fill a canvas with the colours of P(p, .), inside the triangle. */
function paint(canvas, name, p) {
  const width = canvas.width, height = canvas.height, pen = canvas.getContext("2d"), image = pen.createImageData(width, height);
  let above = new Int16Array(width).fill(-1);
  for (let row = 0; row < height; row++) {
    const bands = new Int16Array(width).fill(-1), c = 1 - (row + 0.5) / height;
    for (let column = 0; column < width; column++) {
      const b = (column + 0.5) / width - c / 2, a = 1 - b - c;
      if (a < -0.004 || b < -0.004) continue; // a pixel over the edge, below the border line
      const value = Math.min(potential(name, p, [Math.max(a, 0), Math.max(b, 0), c]), CEILING);
      const band = (bands[column] = Math.floor(4 * value)), at = Math.max(0, value / CEILING) * (CIVIDIS.length - 1.001);
      const low = CIVIDIS[Math.floor(at)], high = CIVIDIS[Math.floor(at) + 1], share = at % 1;
      const edge = (above[column] >= 0 && above[column] !== band) || (column && bands[column - 1] >= 0 && bands[column - 1] !== band);
      const place = 4 * (row * width + column);
      for (let k = 0; k < 3; k++) image.data[place + k] = edge ? 255 : low[k] + share * (high[k] - low[k]);
      image.data[place + 3] = 255;
    }
    above = bands;
  }
  pen.putImageData(image, 0, 0);
}

/** Build the explorer in an element. `start`: p, q, relaxation, lines {name: {color}}, handles [color, color], corners. */
export function simplex(root, start) {
  const state = { p: start.p, q: start.q, relaxation: start.relaxation };
  let painted = "", playing = 0;

  const main = add(root, "div", { class: "main" });
  const left = add(main, "figure"), right = add(main, "figure");
  const title = add(left, "figcaption");
  const stage = add(left, "div", { class: "stage" });
  const canvas = add(stage, "canvas", { width: PIXELS, height: Math.round(PIXELS * HEIGHT), "aria-hidden": "true" });
  const view = draw(stage, "svg", { viewBox: `-30 -34 ${SIDE + 60} ${SIDE * HEIGHT + 70}`, role: "group", "aria-label": "triangle" });
  draw(view, "path", { d: `M0 ${SIDE * HEIGHT}H${SIDE}L${SIDE / 2} 0Z`, class: "line" });
  start.corners.forEach((name, k) => {
    const [x, y] = toDrawing([0, 1, 2].map((n) => +(n === k)));
    draw(view, "text", { x, y: y + (k < 2 ? 27 : -12), class: "corner" }, name);
  });
  const ramp = draw(left, "svg", { viewBox: `-30 0 ${SIDE + 60} 34`, "aria-hidden": "true" });
  for (let k = 0; k < 80; k++) draw(ramp, "rect", { x: 5 * k, width: 5, height: 11, fill: cividis(k / 79), "shape-rendering": "crispEdges" });
  ["0", "1", "2", "3 or more"].forEach((words, k) => draw(ramp, "text", { x: (SIDE * k) / CEILING, y: 28, class: "value" }, words));

  const handles = { p: handle("p", 0), q: handle("q", 1) };
  function handle(name, number) {
    const thread = draw(view, "line", { class: "thread" });
    const group = draw(view, "g", { class: "handle", tabindex: 0, role: "slider", "aria-label": `label ${name}`,
      "aria-valuemin": 0, "aria-valuemax": 1 });
    draw(group, "circle", { r: 26, class: "reach" });
    const look = { class: "knob", fill: start.handles[number] };
    if (number) draw(group, "rect", { x: -13, y: -13, width: 26, height: 26, rx: 3, ...look });
    else draw(group, "circle", { r: 14, ...look });
    draw(group, "text", { y: 5.5, class: "name" }, name);
    drag(view, group, () => toDrawing(state[name]), (x, y) => place(name, fromDrawing(x, y)));
    keys(group, (dx, dy) => {
      const [x, y] = toDrawing(state[name]);
      place(name, fromDrawing(x + 0.01 * SIDE * dx, y - 0.01 * SIDE * dy));
    }, (key) => {
      const corner = start.corners.indexOf(key.toUpperCase());
      if (corner < 0 && key.toUpperCase() !== "M") return false;
      place(name, [0, 1, 2].map((k) => (corner < 0 ? 1 / 3 : +(k === corner))));
      return true;
    });
    return { group, thread };
  }

  add(right, "figcaption", {}, "all six P(p, q)");
  const names = Object.keys(start.lines), step = 420 / names.length;
  const chart = draw(right, "svg", { viewBox: "-34 -24 460 372", role: "img", "aria-label": "bars of the six relaxations" });
  for (let tick = 0; tick <= CEILING; tick++) {
    const y = 320 * (1 - tick / CEILING);
    draw(chart, "line", { x1: 0, x2: 420, y1: y, y2: y, class: tick ? "grid" : "line" });
    draw(chart, "text", { x: -10, y: y + 5, class: "tick" }, String(tick));
  }
  const bars = names.map((name, k) => {
    draw(chart, "text", { x: step * (k + 0.5), y: 342, class: "label" }, name);
    return [draw(chart, "rect", { x: step * (k + 0.15), width: step * 0.7, fill: start.lines[name].color, "data-name": name }),
      draw(chart, "text", { x: step * (k + 0.5), class: "value", "data-value": name })];
  });

  const controls = add(root, "div", { class: "controls" });
  const shown = choice(controls, "colour: P(p, .) of", names, state.relaxation);
  const move = choice(controls, "move of Fig. 1", ["none", ...Object.keys(MOVES)], "none");
  const time = slider(controls, "time along the move", 0, 0, 1, 0.01);
  const player = button(controls, "play", play);
  const presets = add(controls, "div", { class: "presets", role: "group", "aria-label": "situations" });
  for (const [words, situation] of Object.entries(PLACES)) button(presets, words, () => jump(situation));
  button(presets, "reset", () => jump(start));
  add(root, "p", { class: "caption" }, CAPTION);

  const show = everyFrame(() => {
    const key = `${state.relaxation} ${state.p}`;
    if (key !== painted) paint(canvas, state.relaxation, state.p);
    painted = key;
    title.textContent = `p and q; the colour is P(p, .) of ${state.relaxation}`;
    const at = { p: toDrawing(state.p), q: toDrawing(state.q) };
    const close = Math.hypot(at.p[0] - at.q[0], at.p[1] - at.q[1]) < 22 ? 17 : 0; // drawn side by side: both stay in reach
    for (const [name, { group, thread }] of Object.entries(handles)) {
      const [x, y] = at[name], aside = x + (name === "p" ? -close : close);
      set(group, { transform: `translate(${aside} ${y})`, "aria-valuenow": state[name][0].toFixed(3),
        "aria-valuetext": start.corners.map((corner, k) => `${corner} ${state[name][k].toFixed(2)}`).join(", ") });
      set(thread, { x1: x, y1: y, x2: aside, y2: y });
    }
    bars.forEach(([bar, value], k) => {
      const height = potential(names[k], state.p, state.q), drawn = (320 * Math.min(Math.max(height, 0), CEILING)) / CEILING;
      set(bar, { y: 320 - drawn, height: drawn });
      set(value, { y: 312 - drawn });
      value.textContent = Number.isFinite(height) ? Math.abs(height).toFixed(3) : "infinite";
    });
    time.disabled = player.disabled = move.value === "none";
    player.textContent = playing ? "pause" : "play";
    announce();
  });
  const kinds = { p: distribution, q: distribution, relaxation: oneOf(names), move: oneOf(["none", ...Object.keys(MOVES)]), time: number(0, 1) };
  const announce = shareable(root, kinds, () => ({ ...state, move: move.value, time: Number(time.value) }), jump);

  function place(name, point) {
    state[name] = point;
    stop();
    move.value = "none";
    show();
  }
  function jump({ p = state.p, q = state.q, relaxation = state.relaxation, move: name = "none", time: at = 0 }) {
    Object.assign(state, { p, q, relaxation });
    stop();
    [shown.value, move.value] = [relaxation, name];
    slide(time, at);
    lead();
  }
  function lead() {
    if (move.value !== "none") [state.p, state.q] = MOVES[move.value](Number(time.value));
    show();
  }
  function stop() {
    cancelAnimationFrame(playing);
    playing = 0;
  }
  function play() {
    if (playing) { stop(); return show(); }
    if (Number(time.value) >= 1) slide(time, 0);
    const from = performance.now() - 4000 * time.value;
    const advance = (now) => {
      slide(time, Math.min(Math.max((now - from) / 4000, 0), 1));
      playing = Number(time.value) < 1 && root.isConnected ? requestAnimationFrame(advance) : 0;
      lead();
    };
    playing = requestAnimationFrame(advance);
  }
  shown.addEventListener("change", () => { state.relaxation = shown.value; show(); });
  move.addEventListener("change", () => { stop(); slide(time, 0); lead(); });
  time.addEventListener("input", () => { stop(); lead(); });
  show();
}
