// Draws a board of panels (charts/training.py) or a plain figure with Plotly.react, so that zoom, legend choices and the page's place survive
// every update.
const SCRIPT = "/api/plotly.min.js";

function plotly() {
  if (window.Plotly) return Promise.resolve(window.Plotly);
  if (!window.cpartPlotly) {
    window.cpartPlotly = new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = SCRIPT;
      script.onload = () => resolve(window.Plotly);
      script.onerror = () => { window.cpartPlotly = null; reject(new Error("plotly.js did not load")); };
      document.head.appendChild(script);
    });
  }
  return window.cpartPlotly;
}

function axis(given, zoomed, more) {
  const range = zoomed || given.range;
  return { ...given, ...more, ...(range ? { range: [...range] } : {}), ...(zoomed ? { autorange: false } : {}) };
}

function arrange(board, width, zoom) {
  const count = board.panels.length;
  const inner = Math.max(120, width - board.left - board.right);
  const columns = Math.max(1, Math.min(count, Math.floor(inner / board.min_width)));
  const rows = Math.ceil(count / columns);
  const top = board.panels[0].title ? 42 : 24, gapX = 26, gapY = 46, bottom = 34 + (board.xaxis.title.text ? 16 : 0);
  const drawn = rows * board.panel_height + (rows - 1) * gapY;
  const legendRow = board.legend ? 34 : 0;
  const layout = { ...board.layout, annotations: [], autosize: true, uirevision: board.key, height: top + drawn + bottom + legendRow,
    margin: { l: board.left, r: board.right, t: top, b: bottom + legendRow } };
  layout.legend = { ...board.layout.legend, y: -(bottom - 2) / drawn, itemwidth: 30 };
  if (!board.legend) layout.showlegend = false;
  const cell = (inner - (columns - 1) * gapX) / columns;
  const traces = [];
  board.panels.forEach((panel, place) => {
    const row = Math.floor(place / columns), column = place % columns, id = place ? String(place + 1) : "";
    const left = (column * (cell + gapX)) / inner;
    const high = 1 - (row * (board.panel_height + gapY)) / drawn;
    const last = place + columns >= count;
    layout["xaxis" + id] = axis(board.xaxis, zoom && zoom.x, { domain: [left, Math.min(1, left + cell / inner)], anchor: "y" + id,
      showticklabels: true, ...(place ? { matches: "x" } : {}), ...(last ? {} : { title: { text: "" } }) });
    layout["yaxis" + id] = axis(board.yaxis, zoom && zoom.y, { domain: [Math.max(0, high - board.panel_height / drawn), high], anchor: "x" + id,
      showticklabels: column === 0, ...(place ? { matches: "y" } : {}) });
    if (panel.title) layout.annotations.push({ text: panel.title, xref: "paper", yref: "paper", x: left, y: high, xanchor: "left", yanchor: "bottom",
      showarrow: false, font: { size: 12, color: board.layout.font.color }, yshift: 2 });
    for (const trace of panel.traces) traces.push({ ...trace, xaxis: "x" + id, yaxis: "y" + id });
  });
  return { traces, layout };
}

// Made once for each box: new functions count as new settings, and for new settings plotly makes the whole chart anew.
function settings(Plotly, box) {
  if (box.cpartSettings) return box.cpartSettings;
  const save = (name, format, scale) => ({ name, title: name, icon: format === "svg" ? Plotly.Icons.camera : Plotly.Icons.disk,
    click: (drawing) => Plotly.downloadImage(drawing, { format, scale, filename: box.cpartBoard.file }) });
  box.cpartSettings = { displaylogo: false, responsive: false, modeBarButtonsToRemove: ["toImage", "select2d", "lasso2d", "autoScale2d"],
    modeBarButtonsToAdd: [save("Save as SVG", "svg", 1), save("Save as PNG", "png", 3)] };
  return box.cpartSettings;
}

// Plotly itself keeps what a person zoomed to while uirevision stays the same: until the axes mean something else.
function plain(board) {
  const { data, layout } = JSON.parse(board.figure);
  return { traces: data, layout: { ...layout, uirevision: JSON.stringify([layout.height, layout.xaxis.title]) } };
}

async function drawOnce(box) {
  const Plotly = await plotly();
  const board = box.cpartBoard, width = box.clientWidth;
  if (!width) { box.cpartStale = true; return; } // in a closed tab: once it is seen
  const { traces, layout } = board.figure ? plain(board) : arrange(board, width, box.cpartZoom);
  box.cpartWidth = width;
  await Plotly.react(box, traces, { ...layout, width }, settings(Plotly, box));
  if (!box.cpartListens && !board.figure) {
    box.cpartListens = true;
    box.on("plotly_relayout", (change) => noteZoom(box, change));
  }
}

// What a person zoomed to stands until it is reset, whatever the newest data's own range is. Panels share both axes, so one pair of ranges is all.
function noteZoom(box, change) {
  const names = Object.keys(change);
  if (!names.some((name) => /axis\d*\.(range|autorange)/.test(name))) return;
  const { xaxis, yaxis } = box._fullLayout, board = box.cpartBoard;
  const near = (range, usual) => !usual || usual.every((value, end) => Math.abs(value - range[end]) < 1e-6 * (1 + Math.abs(value)));
  const reset = names.some((name) => name.endsWith("autorange")) || (board.xaxis.range && near(xaxis.range, board.xaxis.range) && near(yaxis.range, board.yaxis.range));
  box.cpartZoom = reset ? null : { x: [...xaxis.range], y: [...yaxis.range] };
}

// One drawing at a time, always of the newest data. A board, which polls, takes at most a third of a busy machine's time: the page stays alive.
async function draw(box) {
  box.cpartAsked = true;
  box.cpartStale = false;
  if (box.cpartDrawing) return;
  box.cpartDrawing = true;
  try {
    while (box.cpartAsked && box.isConnected) {
      box.cpartAsked = false;
      const began = performance.now();
      await drawOnce(box);
      const took = performance.now() - began;
      if (!box.cpartBoard.figure) await new Promise((resolve) => setTimeout(resolve, 2 * took));
    }
  } catch (error) {
    if (!box.querySelector(".plot-container")) box.textContent = "The live panels need plotly.js, which did not load. The numbers are in the table below.";
  } finally {
    box.cpartDrawing = false;
  }
}

// A picture that is out of sight is drawn anew when it comes near: the step slider waits for those that are seen alone.
function drawIfSeen(box) {
  if (box.cpartHidden) box.cpartStale = true;
  else draw(box);
}

function observe(box) {
  const catchUp = () => { if (box.cpartStale) draw(box); };
  const resized = new ResizeObserver(() => {
    const width = box.clientWidth;
    if (width && box.cpartWidth && Math.abs(width - box.cpartWidth) > 2) draw(box);
  });
  const seen = new IntersectionObserver((changes) => {
    box.cpartHidden = !changes[changes.length - 1].isIntersecting;
    if (!box.cpartHidden) catchUp();
  }, { rootMargin: "300px", scrollMargin: "300px" }); // the page scrolls within a box of its own
  box.cpartObservers = [resized, seen];
  box.cpartObservers.forEach((observer) => observer.observe(box));
  box.cpartPrinted = catchUp;
  window.addEventListener("beforeprint", catchUp);
}

export default function (component) {
  const { data, parentElement } = component;
  const box = parentElement.querySelector(".cpart-live");
  const changed = !box.cpartBoard || box.cpartBoard.revision !== data.revision;
  box.cpartBoard = data;
  box.setAttribute("aria-label", data.alt);
  if (data.figure) box.style.minHeight = data.height + "px"; // what stands below does not jump when the figure comes
  if (!box.cpartObservers) observe(box);
  if (changed) drawIfSeen(box);
  return () => {
    if (box.isConnected) return;
    box.cpartObservers.forEach((observer) => observer.disconnect());
    window.removeEventListener("beforeprint", box.cpartPrinted);
    if (window.Plotly) window.Plotly.purge(box);
  };
}
