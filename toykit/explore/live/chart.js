// A chart with two axes whose lines can be replaced.
import { add, draw, set } from "./elements.js";

/** Append a chart. `x`, `y`: {label, low, high, ticks}; `width`, `height`: of the area between the axes. */
export function chart(parent, title, x, y, width = 380, height = 300) {
  const figure = add(parent, "figure");
  add(figure, "figcaption", {}, title);
  const view = draw(figure, "svg", { viewBox: `-54 -14 ${width + 72} ${height + 66}`, role: "img", "aria-label": title });
  draw(view, "path", { d: `M0 0V${height}H${width}`, class: "line" });
  draw(view, "text", { x: width / 2, y: height + 44 }, x.label);
  if (y.label) draw(view, "text", { transform: `translate(-36 ${height / 2}) rotate(-90)` }, y.label);
  const labels = [];
  const toX = (value) => (width * (value - x.low)) / (x.high - x.low);
  const toY = (value) => height * (1 - (value - y.low) / (y.high - y.low));
  for (const tick of x.ticks) draw(view, "text", { x: toX(tick), y: height + 21 }, String(tick));

  const made = {
    view,
    toX,
    toY,
    fromX: (at) => x.low + (at / width) * (x.high - x.low),
    fromY: (at) => y.low + (1 - at / height) * (y.high - y.low),
    /** Set the range of y, and its ticks. */
    range(low, high, ticks) {
      Object.assign(y, { low, high });
      for (const label of labels.splice(0)) label.remove();
      for (const tick of ticks) labels.push(draw(view, "text", { x: -8, y: toY(tick) + 5, class: "tick" }, String(tick)));
    },
    /** Return a function that draws points [x, y] as a line with gaps where they leave the chart. */
    line({ color, dash = "" }, name) {
      const path = draw(view, "path", { fill: "none", stroke: color, "stroke-width": 2.4, "stroke-dasharray": dash, "data-line": name });
      return (points) => {
        let pen = "M";
        set(path, { d: points.map(([a, b]) => {
          if (!(b <= y.high && b >= y.low)) { pen = "M"; return ""; }
          const step = `${pen}${toX(a).toFixed(1)} ${toY(b).toFixed(1)}`;
          pen = "L";
          return step;
        }).join("") });
      };
    },
  };
  made.range(y.low, y.high, y.ticks);
  return made;
}
