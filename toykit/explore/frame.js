// Around an explorer: tells how wide the room for pictures is, and gives all the names that screen readers say; ipywidgets
// leaves a slider's handle, its number and a player's buttons without any.

const REST = 100; // ms without a change after which the width is told
const PLAYER = ["play or pause", "stop", "repeat"];

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
    for (const player of root.querySelectorAll(".widget-play")) {
      player.querySelectorAll("button").forEach((button, k) => button.setAttribute("aria-label", PLAYER[k]));
    }
    for (const plot of root.querySelectorAll(".js-plotly-plot:not([role])")) {
      plot.setAttribute("role", "img");
      plot.setAttribute("aria-label", model.get("says"));
    }
  }

  function measure() {
    const width = root.querySelector(".main").clientWidth;
    if (!width || width === model.get("width")) return; // 0: in a tab that is not open
    model.set("width", width);
    model.save_changes();
  }

  const parts = new MutationObserver(name);
  const room = new ResizeObserver(() => { clearTimeout(due); due = setTimeout(measure, REST); });
  function begin() {
    root = el.closest(".toykit-explorer");
    if (!root?.querySelector(".main")) return (waiting = requestAnimationFrame(begin)); // not yet in the page
    room.observe(root);
    parts.observe(root, { childList: true, subtree: true });
    name();
  }
  waiting = requestAnimationFrame(begin);
  return () => { cancelAnimationFrame(waiting); clearTimeout(due); room.disconnect(); parts.disconnect(); };
}

export default { render };
