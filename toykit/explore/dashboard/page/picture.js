// The pictures of an explorer as one SVG, as they are on the page: titles, legends, images, canvases and drawings.

const SVG = "http://www.w3.org/2000/svg";
const PARTS = "figcaption, h4, .legend > span, canvas, img, svg";
const LOOK = ["fill", "fill-opacity", "stroke", "stroke-width", "stroke-dasharray", "stroke-opacity", "opacity", "display", "visibility",
  "paint-order", "font-family", "font-size", "font-weight", "text-anchor", "clip-path", "image-rendering"];

function make(tag, attributes, words = "") {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.textContent = words;
  return made;
}

/** An image or a canvas, with its pixels. */
function raster(source, box) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [source.naturalWidth ?? source.width, source.naturalHeight ?? source.height];
  canvas.getContext("2d").drawImage(source, 0, 0);
  const look = getComputedStyle(source).imageRendering;
  return make("image", { ...box, href: canvas.toDataURL(), preserveAspectRatio: "none", style: `image-rendering: ${look}` });
}

/** A drawing, with its computed colours and fonts in place of the page's style sheets. */
function copy(source, { x, y, width, height }) {
  const made = source.cloneNode(true), parts = [made, ...made.querySelectorAll("*")];
  [source, ...source.querySelectorAll("*")].forEach((part, k) => {
    const style = getComputedStyle(part);
    parts[k].setAttribute("style", LOOK.map((name) => `${name}: ${style.getPropertyValue(name)}`).join("; "));
  });
  for (const [name, value] of Object.entries({ x, y, width, height, overflow: "visible" })) made.setAttribute(name, value);
  return [made];
}

/** The words of an element, each where it is, since lines may break anywhere. */
function words(source, left, top) {
  const { color, fontFamily, fontSize, fontWeight } = getComputedStyle(source);
  const style = `fill: ${color}; font: ${fontWeight} ${fontSize} ${fontFamily.replaceAll('"', "'")}`;
  return [...source.childNodes].filter((node) => node.nodeType === Node.TEXT_NODE).flatMap((node) => Array.from(
    node.data.matchAll(/\S+/g), ({ 0: word, index }) => {
      const range = document.createRange();
      range.setStart(node, index);
      range.setEnd(node, index + word.length);
      const box = range.getBoundingClientRect();
      return make("text", { x: box.left - left, y: box.bottom - top - 0.22 * box.height, style }, word);
    }));
}

/** Return an SVG element with what an explorer shows, or null where it shows nothing. */
export function picture(root) {
  root.classList.add("toykit-posing"); // on a phone, controls lie between the pictures, one of which may lie over another
  try {
    return compose(root);
  } finally {
    root.classList.remove("toykit-posing");
  }
}

function compose(root) {
  const parts = [...root.querySelectorAll(PARTS)].filter((part) => part.checkVisibility() && !part.parentElement.closest("svg, .controls"));
  const boxes = parts.map((part) => part.getBoundingClientRect()), edge = 16;
  if (!parts.length) return null;
  const [left, top] = [Math.min(...boxes.map((box) => box.left)) - edge, Math.min(...boxes.map((box) => box.top)) - edge];
  const [width, height] = [Math.max(...boxes.map((box) => box.right)) - left + edge, Math.max(...boxes.map((box) => box.bottom)) - top + edge];
  const made = make("svg", { viewBox: `0 0 ${width} ${height}`, width, height });
  made.append(make("rect", { width, height, fill: getComputedStyle(root).backgroundColor }));
  parts.forEach((part, k) => {
    const box = { x: boxes[k].left - left, y: boxes[k].top - top, width: boxes[k].width, height: boxes[k].height };
    if (part.matches("canvas, img")) made.append(raster(part, box));
    else made.append(...(part.matches("svg") ? copy(part, box) : words(part, left, top)));
  });
  return made;
}

/** Return a picture as a file: "svg", or "png" at twice its size. */
export async function file(made, kind) {
  const text = new XMLSerializer().serializeToString(made);
  if (kind === "svg") return new Blob([text], { type: "image/svg+xml" });
  const image = new Image(), canvas = document.createElement("canvas");
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;
  await image.decode();
  [canvas.width, canvas.height] = [2 * image.width, 2 * image.height];
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  return new Promise((done) => canvas.toBlob(done, "image/png"));
}
