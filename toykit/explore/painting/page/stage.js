// The stage: the photo with its layers, zoomed and moved as one sheet, and a second sheet for side by side.

import { element } from "./elements.js";

const CLOSEST = 40; // screen pixels per pixel of the photo, at most

function layer(part, label) {
  const made = element("canvas");
  made.dataset.part = part;
  if (label) { made.setAttribute("role", "img"); made.setAttribute("aria-label", label); } else made.setAttribute("aria-hidden", "true");
  return made;
}

export function makeStage(app) {
  const photo = layer("photo"), beside = layer("beside"), result = layer("result", "labels"), seeds = layer("seeds"), pen = layer("pen");
  const sheet = element("div", { className: "sheet" }, photo, result, seeds);
  const second = element("div", { className: "sheet" }, beside);
  const view = element("div", { className: "view" }, sheet, pen);
  const secondView = element("div", { className: "view", hidden: true }, second);
  const box = element("div", { className: "stage" }, view, secondView);
  const stage = { box, view, photo, result, seeds, pen, size: [1, 1], scale: 1, left: 0, top: 0 };
  let free = false; // whether the user has zoomed or moved
  let picture = null; // the photo
  let painted = Promise.resolve(); // pictures are decoded one after the other

  // The scale at which the photo fills the view.
  function fitting() {
    const { clientWidth, clientHeight } = view;
    return Math.min(clientWidth / stage.size[0], clientHeight / stage.size[1]) || 1;
  }
  function place() {
    for (const one of [sheet, second]) {
      one.style.width = `${stage.size[0]}px`;
      one.style.height = `${stage.size[1]}px`;
      one.style.transform = `translate(${stage.left}px, ${stage.top}px) scale(${stage.scale})`;
    }
    box.dataset.close = stage.scale > 4;
    app.pen.draw();
  }
  function fit() {
    free = false;
    stage.scale = fitting();
    stage.left = (view.clientWidth - stage.size[0] * stage.scale) / 2;
    stage.top = (view.clientHeight - stage.size[1] * stage.scale) / 2;
    place();
  }
  // Zoom about a point of the view; the whole photo stays the least.
  function zoom(factor, x = view.clientWidth / 2, y = view.clientHeight / 2) {
    const scale = Math.min(CLOSEST, Math.max(stage.scale * factor, fitting()));
    if (scale <= fitting() * 1.0001) return fit();
    const ratio = scale / stage.scale;
    [stage.left, stage.top, stage.scale] = [x - (x - stage.left) * ratio, y - (y - stage.top) * ratio, scale];
    move(0, 0);
  }
  // Move the photo, of which a part stays in sight.
  function move(dx, dy) {
    free = true;
    const bound = (value, length, space) => Math.min(space - 60, Math.max(60 - length, value));
    stage.left = bound(stage.left + dx, stage.size[0] * stage.scale, view.clientWidth);
    stage.top = bound(stage.top + dy, stage.size[1] * stage.scale, view.clientHeight);
    place();
  }
  // The point of the photo under the pointer; whole numbers are the centres of pixels.
  function at(event) {
    const edge = view.getBoundingClientRect();
    return [(event.clientX - edge.left - stage.left) / stage.scale - 0.5, (event.clientY - edge.top - stage.top) / stage.scale - 0.5];
  }
  function resize() {
    const ratio = window.devicePixelRatio || 1;
    pen.width = Math.max(1, Math.round(view.clientWidth * ratio));
    pen.height = Math.max(1, Math.round(view.clientHeight * ratio));
    if (free) move(0, 0); else fit();
    app.pen.drawNow(); // a new size has cleared it
  }
  new ResizeObserver(resize).observe(view);

  // Side by side: the labels beside the photo with its strokes, instead of over it.
  function apart(on) {
    secondView.hidden = !on;
    (on ? second : sheet).insertBefore(result, on ? null : seeds);
    resize();
  }
  function look() {
    const tinted = app.opacity > 0 && ["soft", "hard"].includes(app.state.view);
    result.style.opacity = app.state.view === "entropy" && app.opacity > 0 ? Math.max(app.opacity, 0.9) : app.opacity;
    drawPhoto(photo, tinted && secondView.hidden);
    if (!secondView.hidden) drawPhoto(beside, tinted);
  }
  // Grey is computed when it is first shown: a CSS filter is applied in every frame, which strokes would wait for.
  function drawPhoto(canvas, grey) {
    if (!picture || canvas.dataset.grey === String(grey)) return;
    canvas.dataset.grey = grey;
    [canvas.width, canvas.height] = [picture.width, picture.height];
    const context = canvas.getContext("2d");
    context.drawImage(picture, 0, 0);
    if (!grey) return;
    const pixels = context.getImageData(0, 0, canvas.width, canvas.height), { data } = pixels;
    for (let k = 0; k < data.length; k += 4) data[k] = data[k + 1] = data[k + 2] = 0.2125 * data[k] + 0.7154 * data[k + 1] + 0.0721 * data[k + 2];
    context.putImageData(pixels, 0, 0);
  }
  function inOrder(task) {
    painted = painted.then(task, task);
    return painted;
  }
  function showPhoto({ size, shown }, file) {
    return inOrder(async () => {
      picture?.close();
      picture = await createImageBitmap(new Blob([file], { type: "image/jpeg" }));
      stage.size = size;
      box.style.setProperty("--aspect", size[0] / size[1]);
      [seeds.width, seeds.height] = shown;
      for (const canvas of [photo, beside]) delete canvas.dataset.grey;
      look();
      fit();
    });
  }
  // The parts of the labels and of the strokes that have changed, each with its place; large parts of the strokes are files.
  function showPictures({ size, labels, strokes }, buffers) {
    return inOrder(async () => {
      const last = buffers[buffers.length - 1];
      const file = strokes?.length === 2 && (await createImageBitmap(new Blob([last], { type: "image/png" })));
      if (result.width !== size[0] || result.height !== size[1]) [result.width, result.height] = size;
      if (labels) put(result, labels, buffers[0]);
      if (file) {
        const context = seeds.getContext("2d");
        context.clearRect(...strokes, file.width, file.height);
        context.drawImage(file, ...strokes);
      } else if (strokes) put(seeds, strokes, last);
    });
  }
  function put(canvas, [left, top, width, height], { buffer, byteOffset, byteLength }) {
    const pixels = new Uint8ClampedArray(buffer, byteOffset, byteLength);
    canvas.getContext("2d").putImageData(new ImageData(pixels, width, height), left, top);
  }
  return Object.assign(stage, { fit, zoom, move, at, apart, look, resize, showPhoto, showPictures });
}
