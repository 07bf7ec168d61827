// The one toolbar of all figures: a closed list, so that no button comes in with a new plotly.js that nobody chose. None of them sends
// anything anywhere: pictures are made in the browser (picture.js) and saved from there.
const EXPAND = { width: 24, height: 24, path: "M4 4h6v2H6v4H4zM14 4h6v6h-2V6h-4zM4 14h2v4h4v2H4zM18 14h2v6h-6v-2h4z" };

function buttons(Plotly, box, shown) {
  const save = (name, format, icon) => ({ name, title: name, icon, click: () => savePicture(Plotly, box, format) });
  const out = [save("Save as SVG", "svg", Plotly.Icons.camera), save("Save as PNG", "png", Plotly.Icons.disk),
    { name: "Full screen", title: "Full screen", icon: EXPAND, click: () => fullScreen(box) }];
  const choose = shown.selectable ? ["lasso2d", "select2d"] : [];
  const move = ["zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d"];
  return shown.flat ? [out] : [out, [...choose, ...move]];
}

// Made once for each box and kind of figure: new functions count as new settings, and for new settings plotly makes the whole chart anew.
function settings(Plotly, box, traces) {
  const shown = { selectable: Boolean(box.cpartBoard.selectable), flat: traces.every((trace) => trace.type === "sankey") };
  const kind = JSON.stringify(shown);
  if (box.cpartKind !== kind) {
    box.cpartKind = kind;
    box.cpartSettings = {
      displaylogo: false, responsive: false, scrollZoom: false,
      showSendToCloud: false, plotlyServerURL: "", // no "Share chart ...", and nowhere to share it
      topojsonURL: "/none/", // maps of the world would be fetched from elsewhere
      plotGlPixelRatio: 1, // plotly's own 2 paints four times the pixels of a map: without a GPU a drag of 20,000 points took five times as long
      modeBarButtons: buttons(Plotly, box, shown),
    };
  }
  return box.cpartSettings;
}

function fullScreen(box) {
  if (document.fullscreenElement) document.exitFullscreen();
  else box.requestFullscreen();
}
