// The tools: pointers, keys on the canvas, and what they draw. Coordinates are pixels of the photo.

const STEP = 4; // screen pixels by which an arrow key moves the brush
const NEAR = 10; // screen pixels around a polygon's first corner that close it
export const TOOLS = [["brush", "paint", "Brush (B)"], ["eraser", "erase", "Eraser (E)"], ["polygon", "polygon", "Polygon: click its corners, Enter closes it (P)"],
  ["fill", "fill", "Fill a region that strokes enclose (F)"]];

export function makeTools(app) {
  const tools = { tool: "brush", class: 1, brush: 4, choose, setBrush, drawing, mark, cursor, cancel, key, keyUp, start };
  const pointers = new Map(); // id -> position on the screen
  let points = null; // of the mark under way
  let hover = null; // where the pointer is
  let keyboard = null; // where the keyboard's brush is, once an arrow key was pressed
  let panning = false, pinch = 0, space = false, spaceUsed = false;

  const round = ([x, y]) => [Math.round(x * 100) / 100, Math.round(y * 100) / 100];
  const isStroke = () => tools.tool === "brush" || tools.tool === "eraser";
  const called = () => app.state.classes[tools.class].name; // the numbers may change before Python has the mark
  function drawing() { return Boolean(points); }
  function cursor() { return keyboard || (panning || space ? null : hover); }
  function mark() {
    if (!points) return null;
    const base = { class: called(), erase: tools.tool === "eraser" };
    if (isStroke()) return { do: "stroke", ...base, width: tools.brush, points };
    return { do: "polygon", ...base, points: hover && !keyboard ? [...points, hover] : points };
  }
  function choose(tool) { cancel(); tools.tool = tool; app.showTools(); }
  function setBrush(size) {
    tools.brush = Math.max(1, Math.min(Math.round(size), app.largestBrush()));
    app.showTools();
  }
  function start(size) { tools.brush = Math.max(3, Math.round(Math.max(...size) / 90)); pointers.clear(); keyboard = points = null; }
  function cancel() { points = null; app.pen.draw(); }
  function finish() {
    if (!points) return;
    const done = points.map(round);
    points = null;
    if (isStroke()) app.link.post({ do: "stroke", class: called(), erase: tools.tool === "eraser", width: tools.brush, points: done });
    else if (done.length > 2) app.link.post({ do: "polygon", class: called(), erase: false, points: done });
    else app.say("A polygon needs three corners.", true);
    app.pen.draw();
  }
  function put(place) {
    if (tools.tool === "fill") return app.link.post({ do: "fill", class: called(), erase: false, point: round(place) });
    if (isStroke()) { points = [place]; return undefined; }
    const [first] = points || [];
    const near = first && Math.hypot(first[0] - place[0], first[1] - place[1]) * app.stage.scale < NEAR;
    if (near && points.length > 2) return finish();
    points = [...(points || []), place];
    return undefined;
  }

  function start2() { // a second finger: zoom and move instead of painting
    if (isStroke()) points = null;
    const [a, b] = pointers.values();
    pinch = Math.hypot(a[0] - b[0], a[1] - b[1]);
  }
  function pinched(event) {
    const [a0, b0] = pointers.values(), middle = [(a0[0] + b0[0]) / 2, (a0[1] + b0[1]) / 2];
    pointers.set(event.pointerId, [event.clientX, event.clientY]);
    const [a, b] = pointers.values(), now = [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2], edge = app.stage.view.getBoundingClientRect();
    const length = Math.hypot(a[0] - b[0], a[1] - b[1]);
    app.stage.move(now[0] - middle[0], now[1] - middle[1]);
    if (pinch) app.stage.zoom(length / pinch, now[0] - edge.left, now[1] - edge.top);
    pinch = length;
  }

  const { pen } = app.stage;
  pen.onpointerenter = () => { if (!document.activeElement?.matches("input[type=text]")) pen.focus({ preventScroll: true }); };
  pen.onpointerdown = (event) => {
    pen.setPointerCapture(event.pointerId); // a stroke may end outside
    pen.focus({ preventScroll: true });
    pointers.set(event.pointerId, [event.clientX, event.clientY]);
    keyboard = null;
    if (event.pointerType === "touch" && pointers.size === 2) return start2();
    if (event.button === 1 || (event.button === 0 && space)) { panning = spaceUsed = true; event.preventDefault(); }
    else if (event.button === 0 && pointers.size === 1) put(app.stage.at(event));
    hover = event.pointerType === "touch" ? null : app.stage.at(event);
    return app.pen.draw();
  };
  pen.onpointermove = (event) => {
    if (pinch && pointers.size === 2) return pinched(event);
    const before = pointers.get(event.pointerId);
    if (panning && before) app.stage.move(event.clientX - before[0], event.clientY - before[1]);
    if (before) pointers.set(event.pointerId, [event.clientX, event.clientY]);
    if (points && isStroke() && before && !keyboard) {
      const all = event.getCoalescedEvents?.() || [];
      for (const one of all.length ? all : [event]) points.push(app.stage.at(one));
    }
    if (event.pointerType !== "touch") { hover = app.stage.at(event); if (!points || before) keyboard = null; }
    return app.pen.draw();
  };
  pen.onpointerup = (event) => {
    pointers.delete(event.pointerId);
    if (pinch) { if (!pointers.size) pinch = 0; return; }
    if (panning) panning = false;
    else if (isStroke()) finish();
    app.pen.draw();
  };
  pen.onpointercancel = (event) => { pointers.delete(event.pointerId); panning = false; pinch = 0; if (isStroke()) points = null; app.pen.draw(); };
  pen.onpointerleave = () => { hover = null; app.pen.draw(); };
  pen.ondblclick = () => { if (tools.tool === "polygon") finish(); };
  pen.onblur = () => { if (isStroke()) finish(); keyboard = null; space = false; app.pen.draw(); };
  pen.addEventListener("wheel", (event) => {
    event.preventDefault();
    const edge = app.stage.view.getBoundingClientRect();
    app.stage.zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)), event.clientX - edge.left, event.clientY - edge.top);
  }, { passive: false });

  // Keys that draw; returns whether the key was one of them.
  function key(event) {
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const [width, height] = app.stage.size;
    if (event.key in moves) {
      const from = keyboard || (hover && !points ? hover : [Math.round(width / 2), Math.round(height / 2)]);
      const step = Math.max(1, Math.round((event.shiftKey ? 1 : STEP) / app.stage.scale));
      const [x, y] = moves[event.key].map((d, axis) => from[axis] + d * step);
      keyboard = [Math.min(Math.max(x, 0), width - 1), Math.min(Math.max(y, 0), height - 1)];
      if (points && isStroke()) points.push([...keyboard]);
    } else if (event.key === " ") {
      if (!event.repeat) { space = true; spaceUsed = false; }
    } else if (event.key === "Enter" && points) finish();
    else if (event.key === "Backspace" && points && !isStroke()) { points.pop(); if (!points.length) points = null; }
    else if (event.key === "Escape" && points) cancel();
    else return false;
    app.pen.draw();
    return true;
  }
  function keyUp(event) {
    if (event.key !== " " || !space) return;
    space = false;
    if (!spaceUsed && keyboard) { // Space alone starts and ends a stroke of the keyboard's brush
      if (points && isStroke()) finish(); else put([...keyboard]);
    }
    app.pen.draw();
  }
  return tools;
}
