// Draws a board of panels (charts/training.py) or a plain figure with Plotly.react, so that zoom, legend choices and the page's place survive
// every update. Goes with toolbar.js and picture.js.

// Beside Streamlit's own files, which it finds relative to the page: so whatever path the app is served below, this is there too.
const script = () => new URL("./api/plotly.min.js", document.baseURI).href;

function plotly() {
  if (window.Plotly) return Promise.resolve(window.Plotly);
  if (!window.cpartPlotly) {
    window.cpartPlotly = new Promise((resolve, reject) => {
      const element = document.createElement("script");
      element.src = script();
      element.onload = () => resolve(window.Plotly);
      element.onerror = () => { window.cpartPlotly = null; reject(new Error("plotly.js did not load")); };
      document.head.appendChild(element);
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

// Plotly itself keeps what a person zoomed to while uirevision stays the same: until the axes mean something else.
function plain(board) {
  const { data, layout } = JSON.parse(board.figure);
  const clicks = board.selectable ? { clickmode: "event+select" } : {};
  return { traces: data, layout: { ...layout, ...clicks, uirevision: JSON.stringify([layout.height, layout.xaxis.title]) } };
}

async function drawOnce(box) {
  const Plotly = await plotly();
  if (!box.querySelector(".plot-container")) box.textContent = ""; // what was said while plotly.js was missing
  const board = box.cpartBoard, width = box.clientWidth;
  if (!width) { box.cpartStale = true; return; } // in a closed tab: once it is seen
  const { traces, layout } = board.figure ? plain(board) : arrange(board, width, box.cpartZoom);
  box.cpartWidth = width;
  const height = document.fullscreenElement === box ? window.innerHeight : layout.height;
  await Plotly.react(box, traces, { ...layout, width, height }, settings(Plotly, box, traces));
  if (!board.figure) keepPlace(box, layout.height);
  if (!box.cpartListens) {
    box.cpartListens = true;
    listen(box);
  }
}

function listen(box) {
  if (box.cpartBoard.selectable) {
    box.on("plotly_selected", (event) => box.cpartSelect((event ? event.points : []).map((point) => [...point.customdata])));
    box.on("plotly_deselect", () => box.cpartSelect([]));
  }
  if (!box.cpartBoard.figure) box.on("plotly_relayout", (change) => noteZoom(box, change));
}

// What stands below a picture does not jump when the picture comes.
function keepPlace(box, height) {
  box.style.minHeight = height + "px";
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
      await plotly(); // once for the page: not the time that a drawing takes
      const began = performance.now();
      await drawOnce(box);
      const took = performance.now() - began;
      if (!box.cpartBoard.figure) await new Promise((resolve) => setTimeout(resolve, 2 * took));
    }
  } catch (error) {
    if (!box.querySelector(".plot-container")) box.textContent = "Figures need plotly.js, which did not load. The numbers are in the table below.";
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
  box.addEventListener("fullscreenchange", () => draw(box));
  box.cpartObservers.forEach((observer) => observer.observe(box));
  box.cpartPrinted = catchUp;
  window.addEventListener("beforeprint", catchUp);
}

export default function (component) {
  const { data, parentElement, setStateValue } = component;
  const box = parentElement.querySelector(".cpart-live");
  const changed = !box.cpartBoard || box.cpartBoard.revision !== data.revision;
  box.cpartBoard = data;
  box.setAttribute("aria-label", data.alt);
  box.cpartSelect = (points) => setStateValue("selection", points);
  if (data.figure) keepPlace(box, data.height);
  else if (box.clientWidth) keepPlace(box, arrange(data, box.clientWidth, null).layout.height);
  if (!box.cpartObservers) observe(box);
  if (changed) drawIfSeen(box);
  return () => {
    if (box.isConnected) return;
    box.cpartObservers.forEach((observer) => observer.disconnect());
    window.removeEventListener("beforeprint", box.cpartPrinted);
    if (window.Plotly) window.Plotly.purge(box);
  };
}
