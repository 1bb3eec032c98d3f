// Keys, and the list of them. They work while the pointer is on the canvas, or the focus anywhere in the painter.

import { ask, element } from "./elements.js";

export function makeShortcuts(app) {
  const { tools, stage, link } = app;
  let hidden = 0; // the labels' opacity before they were hidden
  const post = (request, able) => { if (able) link.post({ do: request }); };
  const plain = [
    [["1 … 9"], "select a class"],
    [["b"], "brush", () => tools.choose("brush")],
    [["e"], "eraser, and back to the brush", () => tools.choose(tools.tool === "eraser" ? "brush" : "eraser")],
    [["p"], "polygon: click corners; Enter or a double click closes it, Backspace takes a corner back", () => tools.choose("polygon")],
    [["f"], "fill a region that strokes enclose", () => tools.choose("fill")],
    [["["], "smaller brush", () => tools.setBrush(Math.min(tools.brush - 1, tools.brush * 0.8))],
    [["]"], "larger brush", () => tools.setBrush(Math.max(tools.brush + 1, tools.brush * 1.25))],
    [["Ctrl+Z", "u"], "undo"],
    [["Ctrl+Shift+Z", "Ctrl+Y"], "redo"],
    [["wheel", "+", "-"], "zoom"],
    [["0"], "show the whole photo", () => stage.fit()],
    [["Space + drag", "middle button"], "move the photo"],
    [["h"], "hide or show the labels", () => hide()],
    [["s"], "labels beside the photo, or over it", () => app.panels.toggleSide()],
    [["n", "Shift+N"], "next, previous photo of a folder"],
    [["arrow keys"], "move the brush; Shift: by a pixel; Space starts and ends a stroke"],
    [["Esc"], "cancel the mark"],
    [["?"], "this list", () => help()],
  ];
  const acts = new Map(plain.flatMap(([keys, , act]) => (act ? keys.map((key) => [key, act]) : [])));

  function hide() {
    const now = app.opacity;
    app.panels.setOpacity(now > 0 ? 0 : hidden || 0.7);
    hidden = now;
  }
  async function help() {
    if (app.root.querySelector("dialog")) return;
    const rows = plain.map(([keys, text]) => element("tr", {},
      element("td", {}, ...keys.map((key) => element("kbd", { textContent: key.length === 1 ? key.toUpperCase() : key }))), element("td", { textContent: text })));
    await ask(app.root, [element("h3", { textContent: "Shortcuts" }), element("table", {}, ...rows)], ["Close"]);
    stage.pen.focus({ preventScroll: true });
  }
  function handle(event) {
    if (event.target.matches("input[type=text], select") || event.target.closest("dialog")) return false;
    const control = event.ctrlKey || event.metaKey, letter = event.key.toLowerCase(), { state } = app;
    if (control && letter === "z") post(event.shiftKey ? "redo" : "undo", event.shiftKey ? state.can_redo : state.can_undo || link.unanswered().length);
    else if (control && letter === "y") post("redo", state.can_redo);
    else if (control || event.altKey) return false;
    else if (event.target === stage.pen && tools.key(event)) return true;
    else if (letter === "u") post("undo", state.can_undo || link.unanswered().length);
    else if (letter === "n") app.film.step(event.shiftKey ? -1 : 1);
    else if (/^[1-9]$/.test(event.key)) app.classes.select(Number(event.key) - 1);
    else if (event.key === "+" || event.key === "=") stage.zoom(1.25);
    else if (event.key === "-") stage.zoom(0.8);
    else if (acts.has(letter)) acts.get(letter)();
    else return false;
    return true;
  }
  app.root.addEventListener("keydown", (event) => {
    event.stopPropagation(); // JupyterLab's own keys keep out
    if (handle(event)) event.preventDefault();
  });
  app.root.addEventListener("keyup", (event) => { event.stopPropagation(); tools.keyUp(event); });
  return { help };
}
