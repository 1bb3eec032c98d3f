// What is drawn at once, without Python: the mark under the pen, marks that Python has not answered yet, and the brush's outline.

const RIMS = [["rgba(0,0,0,0.75)", 4], ["rgba(255,255,255,0.9)", 2]]; // colours, and by how many screen pixels they are wider

function trail(context, points, closed) {
  context.beginPath();
  points.forEach(([x, y], k) => (k ? context.lineTo(x, y) : context.moveTo(x, y)));
  if (points.length === 1) context.lineTo(points[0][0] + 0.01, points[0][1]);
  if (closed) context.closePath();
}

export function makePen(app) {
  function colorOf(mark) {
    return mark.erase ? "#ffffff" : (app.state.classes.find(({ name }) => name === mark.class) || app.state.classes[0]).color;
  }
  function drawStroke(context, mark, pixel) {
    trail(context, mark.points, false);
    for (const [color, more] of [...RIMS, [colorOf(mark), 0]]) {
      context.strokeStyle = color;
      context.lineWidth = mark.width + more * pixel;
      context.stroke();
    }
  }
  function drawPolygon(context, mark, pixel, closed) {
    trail(context, mark.points, closed);
    if (closed) { context.fillStyle = colorOf(mark); context.fill("evenodd"); }
    for (const [color, width] of [["rgba(0,0,0,0.75)", 4], [colorOf(mark), 2]]) {
      context.strokeStyle = color;
      context.lineWidth = width * pixel;
      context.stroke();
    }
    if (closed) return;
    for (const [x, y] of mark.points) {
      context.beginPath();
      context.arc(x, y, 4 * pixel, 0, 7);
      context.fillStyle = "#fff";
      context.fill();
      context.strokeStyle = "#000";
      context.lineWidth = pixel;
      context.stroke();
    }
  }
  function drawOutline(context, [x, y], radius, pixel) {
    for (const [color, width] of [["rgba(255,255,255,0.9)", 3], ["#000", 1]]) {
      context.strokeStyle = color;
      context.lineWidth = width * pixel;
      context.beginPath();
      context.arc(x, y, Math.max(radius, 3 * pixel), 0, 7);
      context.stroke();
    }
  }
  let due = false; // one drawing per frame
  function draw() {
    if (!due) requestAnimationFrame(drawNow);
    due = true;
  }
  function drawNow() {
    due = false;
    const { stage, tools } = app, context = stage.pen.getContext("2d"), ratio = window.devicePixelRatio || 1;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, stage.pen.width, stage.pen.height);
    const scale = ratio * stage.scale, pixel = 1 / stage.scale;
    context.setTransform(scale, 0, 0, scale, ratio * stage.left + scale / 2, ratio * stage.top + scale / 2);
    context.lineCap = context.lineJoin = "round";
    for (const mark of app.link.unanswered()) {
      if (mark.do === "stroke") drawStroke(context, mark, pixel);
      if (mark.do === "polygon") drawPolygon(context, mark, pixel, true);
    }
    const mark = tools.mark();
    if (mark && mark.do === "stroke") drawStroke(context, mark, pixel);
    if (mark && mark.do === "polygon") drawPolygon(context, mark, pixel, false);
    const place = tools.cursor();
    if (place) drawOutline(context, place, ["brush", "eraser"].includes(tools.tool) ? tools.brush / 2 : 0, pixel);
  }
  return { draw, drawNow };
}
