// The painter's page. It shows the model's state, draws a mark while the user makes it, and sends requests. Python does the rest.

import { button, element } from "./elements.js";
import { number, oneOf, shareable } from "../../links.js";
import { makeLink } from "./link.js";
import { makeJournal } from "./journal.js";
import { makeStage } from "./stage.js";
import { makePen } from "./pen.js";
import { makeTools } from "./tools.js";
import { makeClasses } from "./classes.js";
import { makePanels } from "./panels.js";
import { makeFilmstrip } from "./filmstrip.js";
import { makeShortcuts } from "./shortcuts.js";

let instances = 0;

function render({ model, el }) {
  const root = element("div", { className: "toykit-painter" });
  root.dataset.kind = "painter"; // in links
  root.dataset.lmSuppressShortcuts = "true"; // keep JupyterLab from handling keys as commands
  el.append(root);
  const message = element("p", { className: "message" });
  message.setAttribute("role", "status");
  const offer = element("div", { className: "offer", hidden: true });

  const app = { model, root, id: `toykit-painter-${instances++}`, opacity: 0.7 };
  Object.defineProperty(app, "state", { get: () => model.get("state") });
  app.say = (text, error = false) => { message.textContent = text; message.classList.toggle("error", error); };
  app.silent = () => app.say("No answer from Python for a while: it is still computing, or its kernel has ended. Go on painting: this browser keeps the strokes, and offers them when the painter is opened again.", true);
  app.largestBrush = () => Math.max(20, Math.round(Math.max(...app.state.size) / 8));
  app.unsaved = () => app.state.unsaved || (app.link.unanswered().length > 0 && !app.state.folder);
  app.mind = () => (root.dataset.unsaved = app.unsaved());
  app.showTools = () => app.panels?.showTools();
  app.help = () => app.shortcuts.help();
  app.journal = makeJournal(app);
  app.link = makeLink(app);
  app.pen = makePen(app);
  app.stage = makeStage(app);
  app.tools = makeTools(app);
  app.classes = makeClasses(app);
  app.panels = makePanels(app);
  app.film = makeFilmstrip(app);
  app.shortcuts = makeShortcuts(app);
  const { pen } = app.stage;
  pen.tabIndex = 0;
  pen.removeAttribute("aria-hidden");
  pen.setAttribute("role", "application");
  pen.setAttribute("aria-label", "Canvas for strokes. Arrow keys move the brush, Space starts and ends a stroke, Escape cancels it, U undoes the last change, question mark lists all keys.");
  root.append(app.panels.bar, element("div", { className: "main" }, app.stage.box, offer, message, app.film.box), app.panels.panel);

  // The canvas fills the window's height below the painter's top.
  function tall() {
    const top = Math.min(Math.max(root.getBoundingClientRect().top + window.scrollY, 0), 200);
    root.style.setProperty("--height", `${Math.max(440, window.innerHeight - top - 16)}px`);
  }
  // What a link contains: the photo, if it is one of ours, the settings and the view.
  const within = ({ control }) => (text) => {
    const [low, high, step] = [control.min, control.max, control.step].map(Number), value = number(low, high)(text);
    return value === undefined ? value : Number((Math.round(value / step) * step).toFixed(4));
  };
  const { eta, lam, bandwidth } = app.panels.ranges;
  const { state } = app;
  const kinds = {
    photo: oneOf(state.photos), relaxation: oneOf(state.relaxations), cross_entropy: oneOf(state.cross_entropies), eta: within(eta),
    lam: within(lam), bandwidth: within(bandwidth), solver: oneOf(Object.keys(state.solvers)), view: oneOf(Object.keys(state.views)),
  };
  function linked() {
    const { photo, photos, view, settings } = app.state;
    return { ...settings, view, photo: photos.includes(photo) ? photo : "" };
  }
  function follow(values) {
    const { photo, view, settings } = app.state;
    const other = values.photo && values.photo !== photo;
    if (other && !app.unsaved()) app.link.post({ do: "photo", name: values.photo });
    for (const name of Object.keys(settings)) if (name in values && values[name] !== settings[name]) app.link.post({ do: "set", name, value: values[name] });
    if (values.view && values.view !== view) app.link.post({ do: "view", name: values.view });
    announce(); // what did not fit goes from the address
    if (other && app.unsaved()) app.say(`The link's photo, ${values.photo}, stays closed: the strokes on this one are in no file. Save them first.`, true);
  }
  const announce = shareable(root, kinds, linked, follow);
  function show() {
    const s = app.state;
    root.style.setProperty("--accent", s.accent);
    app.classes.show();
    app.panels.show();
    app.film.show();
    app.stage.look();
    app.mind();
    const [width, height] = s.size, small = s.solved[0] < width;
    const how = s.message && (small ? ` Preview solved at ${s.solved.join(" x ")} of ${width} x ${height} pixels.` : "");
    announce();
    app.say(s.error || `${s.message}${how && !s.message.endsWith(".") ? "." : ""}${how}`, Boolean(s.error));
  }
  function offerEarlier(earlier) {
    offer.hidden = !earlier;
    if (!earlier) return;
    const close = () => { offer.hidden = true; pen.focus({ preventScroll: true }); };
    const restore = () => {
      app.link.post({ do: "restore", document: earlier.document });
      for (const step of earlier.steps) app.link.post(step);
      close();
    };
    const discard = () => { app.journal.discard(); close(); };
    offer.replaceChildren(element("span", { textContent: `This browser has other strokes on this photo, of ${new Date(earlier.when).toLocaleString()}.` }),
      button("Restore them", restore), button("Discard them", discard));
  }
  function download(name, file) {
    const link = element("a", { href: URL.createObjectURL(new Blob([file])), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    app.say(`${name}: saved in the browser's download folder.`);
  }
  const unseen = (error) => app.say(`A picture cannot be shown: ${error}`, true);
  let turn = Promise.resolve(); // messages are handled one after the other; pictures take a while to decode
  function receive(content, buffers) { turn = turn.then(() => handle(content, buffers)).catch(unseen); }
  async function handle(content, buffers) {
    if (content.kind === "photo") {
      app.tools.start(content.size);
      await app.stage.showPhoto(content, buffers[0]).catch(unseen);
      app.showTools();
    }
    if (content.kind === "pictures") {
      await app.stage.showPictures(content, buffers).catch(unseen);
      root.dataset.sequence = Number(root.dataset.sequence || 0) + 1;
      root.dataset.settled = content.settled;
      app.link.answered(content.settled);
      app.mind();
      app.pen.draw();
      app.film.request();
    }
    if (content.kind === "done") { app.link.answered(); app.film.request(); }
    if (content.kind === "document" && content.opened) offerEarlier(app.journal.open(content.key, content.document));
    else if (content.kind === "document") app.journal.confirm(content.key, content.document);
    if (content.kind === "thumbnail") app.film.thumbnail(content.number, buffers[0]);
    if (content.kind === "file") download(content.name, buffers[0]);
  }
  // A closed or reloaded page keeps the strokes in the browser, but not in a file. (Voila's template asks in the same words.)
  function beforeLeaving(event) { if (app.unsaved()) event.preventDefault(); }

  model.on("change:state", show);
  model.on("msg:custom", receive);
  window.addEventListener("resize", tall);
  window.addEventListener("beforeunload", beforeLeaving);
  tall();
  show();
  requestAnimationFrame(tall);
  app.link.post({ do: "show" });
  return () => {
    app.link.stop();
    model.off("change:state", show);
    model.off("msg:custom", receive);
    window.removeEventListener("resize", tall);
    window.removeEventListener("beforeunload", beforeLeaving);
  };
}

export default { render };
