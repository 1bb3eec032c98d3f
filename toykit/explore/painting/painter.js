// The painter's page. It shows the model's state, draws a stroke while the user makes it, and sends requests. Python does the rest.
// The page sends one list of requests at a time; further requests wait for the next list.

const SETTLE_AFTER = 250; // ms without input after which the full solution is requested
const STEP = 4; // pixels by which an arrow key moves the brush
const MOST_BYTES = 10e6; // largest file: the server drops the connection at messages of more than 10 MiB

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

let instances = 0;

function render({ model, el }) {
  const id = `toykit-painter-${instances++}`;
  const root = element("div", { className: "toykit-painter" });
  root.dataset.lmSuppressShortcuts = "true"; // keep JupyterLab from handling keys as commands
  root.addEventListener("keydown", (event) => event.stopPropagation());
  el.append(root);

  // requests
  let busy = false, waiting = [], files = [], timer = 0, drawing = null;
  function post(request, content) {
    if (content) { request.file = files.length; files.push(content); }
    const last = waiting[waiting.length - 1];
    if (last && request.do === "set" && last.do === "set" && last.name === request.name) waiting.pop();
    waiting.push(request);
    send();
  }
  function send() {
    if (busy || !waiting.length) return;
    busy = true;
    root.dataset.busy = "true";
    clearTimeout(timer);
    model.send({ actions: waiting }, undefined, files);
    waiting = []; files = [];
  }
  function settleSoon() {
    clearTimeout(timer);
    timer = setTimeout(() => (drawing ? settleSoon() : post({ do: "settle" })), SETTLE_AFTER);
  }

  // controls; each has a label, and a reason when it is disabled
  const fields = {};
  function labelled(text, control, note) {
    control.id = control.id || `${id}-${text.replace(/\W/g, "-")}`;
    return element("label", { className: "field", htmlFor: control.id }, element("span", { textContent: text }), control, ...(note ? [note] : []));
  }
  function list(name, text, change) {
    const control = element("select", { onchange: () => change(control.value) });
    fields[name] = control;
    return labelled(text, control);
  }
  function options(control, pairs, value) {
    const key = JSON.stringify(pairs);
    if (control.dataset.key !== key) {
      control.replaceChildren(...pairs.map(([v, t]) => element("option", { value: v, textContent: t })));
      control.dataset.key = key;
    }
    control.value = value;
  }
  function range(name, text, min, max, step, change) {
    const control = element("input", { type: "range", min, max, step });
    const number = element("output");
    control.oninput = () => (number.textContent = control.value);
    control.onchange = () => change(Number(control.value));
    control.show = (value) => { if (document.activeElement !== control || !busy) control.value = value; number.textContent = control.value; };
    fields[name] = control;
    return labelled(text, control, number);
  }
  function radios(name, text, change) {
    const group = element("fieldset", { className: "choices" }, element("legend", { textContent: text }));
    group.show = (pairs, value) => {
      const key = JSON.stringify(pairs);
      if (group.dataset.key !== key) {
        group.replaceChildren(group.firstChild, ...pairs.map(([v, t, color]) => {
          const input = element("input", { type: "radio", name: `${id}-${name}`, value: v, onchange: () => change(v) });
          const swatch = color ? [element("i", { className: "swatch", style: `background:${color}` })] : [];
          return element("label", {}, input, ...swatch, element("span", { textContent: t }));
        }));
        group.dataset.key = key;
      }
      for (const input of group.querySelectorAll("input")) input.checked = input.value === String(value);
    };
    fields[name] = group;
    return group;
  }
  function button(name, text, click) {
    return (fields[name] = element("button", { type: "button", textContent: text, onclick: click }));
  }
  function upload(text, accept, request) {
    const input = element("input", { type: "file", accept, hidden: true });
    input.setAttribute("aria-hidden", "true");
    input.onchange = async () => {
      const [file] = input.files;
      input.value = "";
      if (file && file.size > MOST_BYTES) {
        message.textContent = `${file.name}: ${(file.size / 1e6).toFixed(1)} MB; the limit is ${MOST_BYTES / 1e6} MB. Save the photo at a smaller size.`;
        message.classList.add("error");
      } else if (file) post({ do: request, name: file.name }, await file.arrayBuffer());
    };
    return [element("button", { type: "button", textContent: text, onclick: () => input.click() }), input];
  }
  function able(name, why) {
    const control = fields[name];
    control.disabled = Boolean(why);
    const holder = control.closest("label") || control;
    holder.title = why || "";
    holder.classList.toggle("idle", Boolean(why));
  }
  const set = (name) => (value) => post({ do: "set", name, value });

  let currentClass = 1, erase = false, brush = 4;
  const newClass = element("input", { type: "text", size: 10, placeholder: "name" });
  newClass.onkeydown = (event) => event.key === "Enter" && fields.add.click();
  const message = element("p", { className: "message" });
  message.setAttribute("role", "status");
  const why = element("p", { className: "why" });

  // canvases: the photo, with seeds and brush above it, and the result
  function canvas(label) {
    const made = element("canvas", { className: "toykit-canvas" });
    if (label) { made.setAttribute("role", "img"); made.setAttribute("aria-label", label); }
    else made.setAttribute("aria-hidden", "true");
    return made;
  }
  const photo = canvas(""), seeds = canvas(""), pen = canvas("x"), result = canvas("result");
  photo.dataset.part = "photo"; seeds.dataset.part = "seeds"; result.dataset.part = "result"; pen.dataset.part = "pen";
  pen.tabIndex = 0;
  pen.setAttribute("role", "application");
  pen.setAttribute("aria-label", "Canvas for scribbles. Arrow keys move the brush, Space starts and ends a stroke, Escape cancels it, U undoes the last change.");
  const stack = element("div", { className: "stack" }, photo, seeds, pen);
  let width = 1, height = 1, cursor = [0, 0];
  function resize(size) {
    [width, height] = size;
    for (const c of [photo, seeds, pen, result]) { c.width = width; c.height = height; }
    cursor = [Math.round(width / 2), Math.round(height / 2)];
  }
  function put(target, view) {
    const bytes = new Uint8ClampedArray(view.buffer, view.byteOffset, view.byteLength);
    target.getContext("2d").putImageData(new ImageData(bytes, width, height), 0, 0);
  }
  function drawPen(showCursor) {
    const ctx = pen.getContext("2d");
    ctx.clearRect(0, 0, width, height);
    ctx.lineCap = ctx.lineJoin = "round";
    if (drawing) {
      ctx.strokeStyle = erase ? "rgba(255,255,255,0.8)" : model.get("state").classes[currentClass].color;
      ctx.lineWidth = brush;
      ctx.beginPath();
      drawing.forEach(([x, y], k) => (k ? ctx.lineTo(x + 0.5, y + 0.5) : ctx.moveTo(x + 0.5, y + 0.5)));
      if (drawing.length === 1) ctx.lineTo(drawing[0][0] + 0.51, drawing[0][1] + 0.5);
      ctx.stroke();
    }
    if (showCursor) {
      const [x, y] = cursor;
      for (const [color, w] of [["white", 3], ["black", 1]]) {
        ctx.strokeStyle = color; ctx.lineWidth = w;
        ctx.beginPath(); ctx.arc(x + 0.5, y + 0.5, Math.max(3, brush / 2 + 1), 0, 7); ctx.stroke();
      }
    }
  }
  function at(event) {
    const box = pen.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * width - 0.5, ((event.clientY - box.top) / box.height) * height - 0.5];
  }
  function finish() {
    if (!drawing) return;
    post({ do: "stroke", class: currentClass, erase, width: brush, points: drawing });
    drawing = null;
  }
  pen.onpointerdown = (event) => {
    if (event.button) return;
    pen.setPointerCapture(event.pointerId); // a stroke may end outside
    pen.focus({ preventScroll: true });
    drawing = [at(event)];
    drawPen(false);
  };
  pen.onpointermove = (event) => { if (drawing && pen.hasPointerCapture(event.pointerId)) { drawing.push(at(event)); drawPen(false); } };
  pen.onpointerup = finish;
  pen.onpointercancel = () => { drawing = null; drawPen(false); };
  pen.onblur = () => { finish(); drawPen(false); };
  pen.onkeydown = (event) => {
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    if (event.key in moves) {
      const [dx, dy] = moves[event.key].map((d) => d * (event.shiftKey ? 1 : STEP));
      cursor = [Math.min(Math.max(cursor[0] + dx, 0), width - 1), Math.min(Math.max(cursor[1] + dy, 0), height - 1)];
      if (drawing) drawing.push([...cursor]);
    } else if (event.key === " ") { if (drawing) finish(); else drawing = [[...cursor]]; }
    else if (event.key === "Escape") drawing = null;
    else if (event.key === "u" || event.key === "U") { if (!fields.undo.disabled) post({ do: "undo" }); }
    else return;
    event.preventDefault();
    drawPen(true);
  };

  const group = (title, ...children) => element("section", {}, element("h3", { textContent: title }), ...children);
  const row = (...children) => element("div", { className: "row" }, ...children);
  const controls = element("div", { className: "controls" },
    group("Photo", list("photo", "photo", (name) => post({ do: "photo", name })), row(...upload("Upload a photo", "image/*", "upload"))),
    group("Brush",
      radios("class", "class", (v) => { currentClass = Number(v); erase = false; fields.tool.show(TOOLS, "paint"); }),
      row(labelled("new class", newClass), button("add", "Add class", () => { post({ do: "class", name: newClass.value }); newClass.value = ""; })),
      radios("tool", "tool", (v) => (erase = v === "erase")),
      range("brush", "brush size", 1, 20, 1, (v) => (brush = v)),
      row(button("undo", "Undo", () => post({ do: "undo" })), button("clear", "Clear", () => post({ do: "clear" })))),
    group("Energy, eq. (8)",
      list("relaxation", "relaxation", set("relaxation")), list("cross_entropy", "cross-entropy", set("cross_entropy")),
      range("eta", "eta", 0, 2, 0.1, set("eta")), range("lam", "lambda", 0, 20, 0.5, set("lam")),
      range("bandwidth", "bandwidth", 1, 40, 1, set("bandwidth")), list("solver", "solver", set("solver")), why),
    group("Files",
      row(...upload("Load scribbles", ".json,.png", "load")),
      row(button("json", "Save strokes (JSON)", () => post({ do: "save", kind: "json" })), button("seedpng", "Save seeds (PNG)", () => post({ do: "save", kind: "png" }))),
      row(button("png", "Export picture (PNG)", () => post({ do: "export", kind: "png" })), button("npz", "Export labels (NPZ)", () => post({ do: "export", kind: "npz" })))));
  const TOOLS = [["paint", "paint"], ["erase", "erase"]];
  const pictures = element("div", { className: "pictures" },
    element("figure", {}, stack, element("figcaption", { textContent: "Paint here: drag, or focus and use the arrow keys and Space." })),
    element("figure", {}, result, radios("view", "show", (name) => post({ do: "view", name }))));
  root.append(element("div", { className: "main" }, pictures, message), controls);

  function show() {
    const s = model.get("state");
    root.style.setProperty("--accent", s.accent);
    currentClass = Math.min(currentClass, s.classes.length - 1);
    const known = s.photos.includes(s.photo);
    options(fields.photo, [...s.photos.map((p) => [p, p]), ...(known ? [] : [[s.photo, `${s.photo} (yours)`]])], s.photo);
    fields.class.show(s.classes.map((c, k) => [String(k), c.name, c.color]), currentClass);
    fields.tool.show(TOOLS, erase ? "erase" : "paint");
    fields.brush.show(brush);
    options(fields.relaxation, s.relaxations.map((r) => [r, r]), s.settings.relaxation);
    options(fields.cross_entropy, s.cross_entropies.map((c) => [c, c]), s.settings.cross_entropy);
    options(fields.solver, Object.entries(s.solvers), s.settings.solver);
    for (const name of ["eta", "lam", "bandwidth"]) fields[name].show(s.settings[name]);
    for (const name of ["relaxation", "cross_entropy", "eta", "lam", "bandwidth"]) able(name, s.idle[name]);
    why.textContent = Object.entries(s.idle).map(([name, reason]) => `${name.replace("_", "-")}: ${reason}.`).join(" ");
    fields.view.show(Object.entries(s.views), s.view);
    fields.view.querySelector("input[value=entropy]").disabled = Boolean(s.idle.entropy);
    able("undo", s.can_undo ? "" : "nothing to undo");
    able("clear", s.has_seeds ? "" : "no seeds to clear");
    able("json", s.can_save_strokes ? "" : "strokes cannot represent erased or loaded pixels; save the PNG");
    for (const name of ["png", "npz"]) able(name, s.has_labels ? "" : "no labels yet");
    result.setAttribute("aria-label", `${s.views[s.view]} of ${s.photo}`);
    message.textContent = s.error || s.message;
    message.classList.toggle("error", Boolean(s.error));
  }
  function receive(content, buffers) {
    if (content.kind === "photo") { resize(content.size); put(photo, buffers[0]); }
    if (content.kind === "pictures") {
      put(result, buffers[0]);
      put(seeds, buffers[1]);
      if (!drawing) drawPen(document.activeElement === pen && pen.matches(":focus-visible"));
      root.dataset.sequence = Number(root.dataset.sequence || 0) + 1;
      root.dataset.settled = content.settled;
      root.dataset.busy = "false";
      busy = false;
      if (waiting.length) send();
      else if (!content.settled) settleSoon();
    }
    if (content.kind === "file") {
      const link = element("a", { href: URL.createObjectURL(new Blob([buffers[0]])), download: content.name });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10000);
      message.textContent = `${content.name}: saved in the browser's download folder.`;
      message.classList.remove("error");
    }
  }
  model.on("change:state", show);
  model.on("msg:custom", receive);
  show();
  post({ do: "show" });
  return () => { clearTimeout(timer); model.off("change:state", show); model.off("msg:custom", receive); };
}

export default { render };
