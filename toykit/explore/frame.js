// The frame of an explorer: it reports the width available for pictures, sets the names that screen readers need, because
// ipywidgets does not name a slider's handle or its number, and passes on the states of links.

const REST = 100; // ms without a change after which the width is reported
const NARROW = 800; // pixels; no room for controls beside the pictures

function render({ model, el }) {
  el.hidden = true;
  let root, waiting, due;

  function name() {
    for (const handle of root.querySelectorAll(".noUi-handle:not([aria-label])")) {
      const control = handle.closest(".jupyter-widgets");
      const label = control.querySelector(".widget-label").textContent;
      handle.setAttribute("aria-label", label);
      control.querySelector(".widget-readout")?.setAttribute("aria-label", `${label}, as a number`);
    }
    for (const plot of root.querySelectorAll(".js-plotly-plot:not([role])")) {
      plot.setAttribute("role", "img");
      plot.setAttribute("aria-label", model.get("label"));
    }
  }

  function measure() {
    const width = root.querySelector(".main").clientWidth;
    if (!width || width === model.get("width")) return; // 0: in a closed tab
    model.set("width", width);
    model.save_changes();
  }

  // A state is a link's, see links.js.
  function announce() { root.dispatchEvent(new CustomEvent("toykit-state", { bubbles: true, detail: model.get("state") })); }
  function restore({ detail }) {
    model.send({ state: detail });
    announce(); // what does not fit goes from the address
  }

  const parts = new MutationObserver(name);
  const room = new ResizeObserver(() => {
    root.classList.toggle("narrow", root.clientWidth < NARROW);
    clearTimeout(due);
    due = setTimeout(measure, REST);
  });
  function begin() {
    root = el.closest(".toykit-explorer");
    if (!root?.querySelector(".main")) return (waiting = requestAnimationFrame(begin)); // not yet in the page
    room.observe(root);
    parts.observe(root, { childList: true, subtree: true });
    name();
    root.dataset.kind = model.get("kind");
    root.addEventListener("toykit-restore", restore);
    model.on("change:state", announce);
    announce();
  }
  waiting = requestAnimationFrame(begin);
  return () => {
    cancelAnimationFrame(waiting);
    clearTimeout(due);
    room.disconnect();
    parts.disconnect();
    model.off("change:state", announce);
    root?.removeEventListener("toykit-restore", restore);
  };
}

export default { render };
