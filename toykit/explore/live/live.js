// Start explorers: as a widget in JupyterLab and on the dashboard, or on each element that a stored page contains.
import { simplex } from "./simplex.js";
import { potentials } from "./potentials.js";
import { crossEntropies } from "./cross_entropies.js";

const EXPLORERS = { simplex, potentials, crossEntropies };

/** Put an explorer into an element, in place of the picture that stands there. */
function mount(element, kind, start) {
  element.replaceChildren();
  element.classList.add("toykit-live");
  element.dataset.kind = kind;
  element.addEventListener("keydown", (event) => event.stopPropagation()); // JupyterLab's own keys keep out: X would cut the cell
  EXPLORERS[kind](element, start);
}

/** Start every explorer in the page; a notebook may attach its output after its script has started. */
function begin(tries = 300) {
  const waiting = document.querySelectorAll(".toykit-live[data-start]");
  for (const element of waiting) {
    const text = element.dataset.start;
    element.removeAttribute("data-start"); // whatever happens: the explorers after it should start, too
    try {
      const { kind, start } = JSON.parse(text);
      mount(element, kind, start);
    } catch (error) { console.error(error); }
  }
  if (!waiting.length && tries) requestAnimationFrame(() => begin(tries - 1));
}

export default { begin, render: ({ model, el }) => mount(el, model.get("kind"), model.get("start")) };
