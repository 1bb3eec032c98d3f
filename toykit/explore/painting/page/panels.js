// The bar above the canvas and the panel beside it.

import { able, ask, button, element, labelled, list, radios, slider } from "./elements.js";
import { TOOLS } from "./tools.js";


export function makePanels(app) {
  const { link, stage, tools } = app;
  const post = (request) => () => link.post(request);
  const set = (name) => (value) => link.post({ do: "set", name, value });

  // the bar
  const tool = radios("tool", TOOLS, (value) => tools.choose(value));
  const brush = slider("brush size", 1, 20, 1, { input: (value) => { tools.brush = value; app.pen.draw(); }, change: (value) => tools.setBrush(value) });
  const opacity = slider("labels", 0, 1, 0.05, { input: (value) => { app.opacity = value; stage.look(); }, change: () => {} });
  const side = element("input", { type: "checkbox", onchange: () => { stage.apart(side.checked); stage.look(); } });
  const undo = button("Undo", post({ do: "undo" }), "Ctrl+Z"), redo = button("Redo", post({ do: "redo" }), "Ctrl+Shift+Z");
  const zooms = [button("−", () => stage.zoom(0.8), "zoom out (-)"), button("Fit", () => stage.fit(), "show the whole photo (0)"), button("+", () => stage.zoom(1.25), "zoom in (+)")];
  zooms[0].setAttribute("aria-label", "zoom out");
  zooms[2].setAttribute("aria-label", "zoom in");
  const help = button("?", () => app.help(), "shortcuts (?)");
  help.setAttribute("aria-label", "shortcuts");
  const clear = button("Clear", post({ do: "clear" }), "remove all strokes");
  const bar = element("div", { className: "bar" }, tool, brush.field, element("span", { className: "group" }, undo, redo, clear),
    opacity.field, labelled("side by side", side), element("span", { className: "group" }, ...zooms, help));
  side.closest("label").className = "check";

  // the panel
  const view = radios("show", [], (name) => link.post({ do: "view", name }));
  const photo = list("photo", async (name) => {
    if (await leave()) link.post({ do: "photo", name }); else photo.control.show(photos(), app.state.photo);
  });
  const lists = {
    relaxation: list("relaxation", set("relaxation")), cross_entropy: list("cross-entropy", set("cross_entropy")), solver: list("solver", set("solver")),
  };
  const ranges = {
    eta: slider("eta", 0, 2, 0.1, { change: set("eta") }), lam: slider("lambda", 0, 20, 0.5, { change: set("lam") }),
    bandwidth: slider("bandwidth", 1, 40, 1, { change: set("bandwidth") }),
  };
  const why = element("p", { className: "why" });
  const settings = (values) => () => Object.entries({ ...app.state.defaults, ...values }).forEach(([name, value]) => link.post({ do: "set", name, value }));
  const situations = element("div", { className: "row" }, button("lambda = 0", settings({ lam: 0 }), "the first energy with lambda = 0: each pixel is labelled alone"),
    button("BL decides", settings({ relaxation: "BL" }), "the first energy with BL: nearly every pixel gets one class"), button("reset", settings({}), "the first energy"));
  const save = { json: button("Save strokes (JSON)", post({ do: "save", kind: "json" })), png: button("Save seeds (PNG)", post({ do: "save", kind: "png" })) };
  const exports = [button("Export picture (PNG)", post({ do: "export", kind: "png" })), button("Export labels (NPZ)", post({ do: "export", kind: "npz" }))];
  const group = (title, ...children) => element("section", {}, element("h3", { textContent: title }), ...children);
  const row = (...children) => element("div", { className: "row" }, ...children);
  const photoGroup = group("Photo", photo.field, row(...upload("Upload a photo", "image/*", "upload", leave)));
  const energy = element("details", {}, element("summary", { textContent: "Energy, eq. (8)" }), lists.relaxation.field, lists.cross_entropy.field,
    ranges.eta.field, ranges.lam.field, ranges.bandwidth.field, lists.solver.field, why, situations);
  energy.open = window.innerWidth > 700;
  const panel = element("div", { className: "controls" }, app.classes.box, group("Labels", view), photoGroup, energy,
    group("Files", row(...upload("Load scribbles", ".json,.png", "load", async () => true)), row(save.json, save.png), row(...exports)));

  // Ask before strokes are lost; the promise holds whether to go on.
  async function leave() {
    if (!app.unsaved()) return true;
    const text = "The strokes on this photo are in no file. This browser keeps them, and offers them when the photo is opened again.";
    const answer = await ask(app.root, text, ["Save and go on", "Go on", "Stay"]);
    if (answer === "Save and go on") link.post({ do: "save", kind: "json" });
    return answer === "Save and go on" || answer === "Go on";
  }
  function upload(text, accept, request, may) {
    const input = element("input", { type: "file", accept, hidden: true });
    input.setAttribute("aria-hidden", "true");
    input.onchange = async () => {
      const [file] = input.files;
      input.value = "";
      if (!file) return;
      if (file.size > app.state.most_bytes) {
        app.say(`${file.name}: ${(file.size / 1e6).toFixed(1)} MB; the limit is ${app.state.most_bytes / 1e6} MB. Save it at a smaller size.`, true);
      } else if (await may()) link.post({ do: request, name: file.name }, await file.arrayBuffer());
    };
    return [button(text, () => input.click()), input];
  }
  function photos() {
    const { photos: names, photo: name } = app.state;
    return [...names.map((one) => [one, one]), ...(names.includes(name) ? [] : [[name, `${name} (yours)`]])];
  }
  function showTools() {
    tool.show(TOOLS, tools.tool);
    brush.control.max = app.largestBrush();
    brush.control.show(tools.brush);
    stage.pen.style.cursor = tools.tool === "fill" || tools.tool === "polygon" ? "crosshair" : "none";
    app.pen.draw();
  }
  function show() {
    const s = app.state;
    photoGroup.hidden = Boolean(s.folder);
    if (!s.folder) photo.control.show(photos(), s.photo);
    opacity.control.show(app.opacity);
    lists.relaxation.control.show(s.relaxations.map((r) => [r, r]), s.settings.relaxation);
    lists.cross_entropy.control.show(s.cross_entropies.map((c) => [c, c]), s.settings.cross_entropy);
    lists.solver.control.show(Object.entries(s.solvers), s.settings.solver);
    for (const [name, one] of Object.entries(ranges)) if (!one.control.matches(":active") && (document.activeElement !== one.control || app.root.dataset.busy !== "true")) one.control.show(s.settings[name]);
    for (const [name, one] of Object.entries({ ...lists, ...ranges })) able(one.control, s.idle[name]);
    why.textContent = Object.entries(s.idle).map(([name, reason]) => `${name.replace("_", "-")}: ${reason}.`).join(" ");
    view.show(Object.entries(s.views), s.view);
    view.querySelector("input[value=entropy]").disabled = Boolean(s.idle.entropy);
    able(undo, s.can_undo ? "" : "nothing to undo");
    able(redo, s.can_redo ? "" : "nothing to redo");
    able(clear, s.has_seeds ? "" : "no strokes to clear");
    for (const one of exports) able(one, s.has_labels ? "" : "no labels yet");
    stage.result.setAttribute("aria-label", `${s.views[s.view]} of ${s.photo}`);
    showTools();
  }
  function toggleSide() { side.click(); }
  function setOpacity(value) { app.opacity = value; opacity.control.show(value); stage.look(); }
  return { bar, panel, ranges, show, showTools, toggleSide, setOpacity };
}
