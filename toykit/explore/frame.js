// Around an explorer: its figure fits the room that it has, and all has the names that screen readers say.
// ipywidgets leaves a slider's handle and its number without a name; plotly looks at its room when the window changes.

function render({ model, el }) {
  el.hidden = true;
  let root, waiting, due = 0;

  function name() {
    for (const handle of root.querySelectorAll(".noUi-handle:not([aria-label])")) {
      const control = handle.closest(".jupyter-widgets");
      const label = control.querySelector(".widget-label").textContent;
      handle.setAttribute("aria-label", label);
      control.querySelector(".widget-readout")?.setAttribute("aria-label", `${label}, as a number`);
    }
    for (const plot of root.querySelectorAll(".js-plotly-plot:not([role])")) {
      plot.setAttribute("role", "img");
      plot.setAttribute("aria-label", model.get("says"));
    }
    for (const plot of root.querySelectorAll(".js-plotly-plot:has(.svg-container)")) { // drawn before it was in the page
      if (Math.abs(plot.clientWidth - plot.querySelector(".svg-container").clientWidth) > 1) fit();
    }
  }

  function fit() {
    cancelAnimationFrame(due);
    due = requestAnimationFrame(() => {
      window.dispatchEvent(new Event("resize"));
      const width = Math.round(root.querySelector(".main").clientWidth / 10) * 10;
      if (!width || width === model.get("width")) return; // 0: in a tab that is not open
      model.set("width", width);
      model.save_changes();
    });
  }

  const room = new ResizeObserver(fit), parts = new MutationObserver(name);
  function begin() {
    root = el.closest(".toykit-explorer");
    if (!root?.querySelector(".main")) return (waiting = requestAnimationFrame(begin)); // not yet in the page
    room.observe(root);
    parts.observe(root, { childList: true, subtree: true });
    name();
  }
  waiting = requestAnimationFrame(begin);
  return () => { cancelAnimationFrame(waiting); room.disconnect(); parts.disconnect(); };
}

export default { render };
