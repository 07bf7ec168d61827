// Saves a figure as SVG or PNG with its caption drawn under it, and with title, caption, run, step, seed, n and version in the file itself.
const SVG = "http://www.w3.org/2000/svg", LINE = 16, EDGE = 8, SCALE = 3;
const FONT = "sans-serif", SIZE = 11; // not the page's: a saved picture has no web fonts, and lines are broken by the width of these letters
const ROOM = 0.93; // elsewhere sans-serif may be wider

async function savePicture(Plotly, box, format) {
  const { source, file, alt } = box.cpartBoard;
  const words = { title: alt, ...source };
  const { width, height, paper_bgcolor: background, font } = box._fullLayout;
  const bare = await Plotly.toImage(box, { format: "svg", width, height, imageDataOnly: true });
  const drawing = withCaption(bare, { width, height, background, font }, words);
  const blob = format === "svg" ? new Blob([drawing.text], { type: "image/svg+xml" }) : await toPng(drawing, words);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = file + "." + format;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

function wrapped(text, width, font) {
  const pen = document.createElement("canvas").getContext("2d");
  pen.font = font;
  const lines = [""];
  for (const word of text.split(" ")) {
    const longer = lines[lines.length - 1] + (lines[lines.length - 1] ? " " : "") + word;
    if (pen.measureText(longer).width <= width || !lines[lines.length - 1]) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines;
}

function withCaption(bare, look, words) {
  const inner = new DOMParser().parseFromString(bare, "image/svg+xml").documentElement;
  const lines = wrapped(words.caption, ROOM * (look.width - 2 * EDGE), `${SIZE}px ${FONT}`);
  const height = look.height + lines.length * LINE + EDGE;
  const outer = document.implementation.createDocument(SVG, "svg").documentElement;
  const add = (name, attributes, text) => {
    const element = outer.ownerDocument.createElementNS(SVG, name);
    Object.entries(attributes).forEach(([key, value]) => element.setAttribute(key, value));
    if (text) element.textContent = text;
    return outer.appendChild(element);
  };
  Object.entries({ width: look.width, height, viewBox: `0 0 ${look.width} ${height}` }).forEach(([key, value]) => outer.setAttribute(key, value));
  add("title", {}, words.title);
  add("desc", {}, words.caption);
  add("metadata", {}, JSON.stringify(words.fields));
  add("rect", { width: look.width, height, fill: look.background });
  outer.appendChild(outer.ownerDocument.importNode(inner, true));
  lines.forEach((line, number) => add("text", { x: EDGE, y: look.height + (number + 1) * LINE - 4, "font-family": FONT,
    "font-size": SIZE, fill: look.font.color }, line));
  return { text: new XMLSerializer().serializeToString(outer), width: look.width, height };
}

async function toPng(drawing, words) {
  const image = new Image();
  image.src = "data:image/svg+xml;charset=utf-8," + encodeURIComponent(drawing.text);
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = SCALE * drawing.width;
  canvas.height = SCALE * drawing.height;
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  const bytes = new Uint8Array(await (await new Promise((done) => canvas.toBlob(done, "image/png"))).arrayBuffer());
  const said = { Title: words.title, Description: words.caption, Software: "CPart " + words.fields.source_cpart_version, Source: JSON.stringify(words.fields) };
  const chunks = Object.entries(said).map(([key, text]) => textChunk(key, text));
  const head = 8 + 25; // signature and IHDR
  return new Blob([bytes.slice(0, head), ...chunks, bytes.slice(head)], { type: "image/png" });
}

// An iTXt chunk (PNG specification, 11.3.3.4): length, type, keyword, 0, not compressed, no language, no translated keyword, UTF-8 text, CRC.
function textChunk(keyword, text) {
  const body = new TextEncoder().encode("iTXt" + keyword + "\0\0\0\0\0" + text);
  const chunk = new Uint8Array(body.length + 8), view = new DataView(chunk.buffer);
  view.setUint32(0, body.length - 4);
  chunk.set(body, 4);
  view.setUint32(body.length + 4, crc(body));
  return chunk;
}

function crc(bytes) {
  let sum = 0xffffffff;
  for (const byte of bytes) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit++) sum = sum & 1 ? (sum >>> 1) ^ 0xedb88320 : sum >>> 1;
  }
  return (sum ^ 0xffffffff) >>> 0;
}
