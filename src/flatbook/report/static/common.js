"use strict";
/* What the tear sheet and the live page share: number formats, colours, and how a chart looks. */
const flatbook = (() => {
  const DASH = "–";
  const isKnown = (x) => typeof x === "number" && Number.isFinite(x);

  function number(x, places = 0, signed = false) {
    if (!isKnown(x)) return DASH;
    const size = Math.abs(x).toLocaleString("en-US", { minimumFractionDigits: places, maximumFractionDigits: places });
    if (Number(size.replaceAll(",", "")) === 0) return size;
    return (x < 0 ? "−" : signed ? "+" : "") + size;
  }
  function usd(x, places = 0, signed = false) {
    const shown = number(x, places, signed);
    return shown === DASH ? DASH : shown.replace(/^([+−]?)/, "$1$");
  }
  function age(seconds) {
    if (!isKnown(seconds)) return DASH;
    if (seconds < 90) return seconds.toFixed(seconds < 10 ? 1 : 0) + " s";
    if (seconds < 5400) return Math.round(seconds / 60) + " min";
    if (seconds < 129600) return Math.round(seconds / 3600) + " h";
    return Math.round(seconds / 86400) + " d";
  }
  const time = (ms) => new Date(ms).toISOString().slice(0, 19).replace("T", " ");

  /* One hue a family: what is earned, direction, convexity and time, vol, carry, costs, the rest. */
  const PARTS = {
    spread: "#1f8a68", adverse_selection: "#b8473f", delta: "#2f6cc0", gamma: "#7a9fe0", theta: "#8465b8", vega: "#c98a1b",
    vanna: "#dcb066", volga: "#a9925f", funding: "#2f8f9d", basis: "#7dbac4", other_coins: "#5b6fa8",
    fees: "#8d6e63", hedge_cost: "#c58a78", settlement: "#6f7b8b", unexplained: "#a8b0bc",
  };
  const words = (key) => (key.charAt(0).toUpperCase() + key.slice(1)).replaceAll("_", " ");
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
  /* 1 when new, 0.2 from an hour on. */
  const fade = (seconds) => !isKnown(seconds) ? 0.2 : Math.max(0.2, 1 - 0.8 * Math.log1p(seconds) / Math.log1p(3600));

  const config = { displaylogo: false, displayModeBar: false, responsive: true, doubleClick: "reset" };
  function axis(extra = {}) {
    return {
      gridcolor: colour("line"), linecolor: colour("line"), zerolinecolor: colour("faint"), zerolinewidth: 1,
      tickfont: { size: 11, color: colour("muted") }, automargin: true, ...extra,
    };
  }
  /* An axis of dollars, as $1.5k and $2M. Below a dollar d3's prefix would be milli: $500m for fifty cents. */
  const dollars = (digits = 3) => ({
    tickformat: `$,.${digits}~s`, tickformatstops: [{ dtickrange: [null, 0.999], value: "$,.2f" }], hoverformat: "$,.2f",
  });
  const timeAxis = (extra = {}) => axis({
    type: "date", showgrid: false, showline: true, ticks: "outside", ticklen: 4, tickcolor: colour("line"),
    hoverformat: "%d %b %H:%M:%S", tickformatstops: [
      { dtickrange: [null, 60000], value: "%H:%M:%S" }, { dtickrange: [60000, 86400000], value: "%H:%M\n%d %b" },
      { dtickrange: [86400000, null], value: "%d %b" },
    ], ...extra,
  });
  function layout({ height = 240, xaxis, yaxis, ...rest } = {}) {
    return {
      height, margin: { l: 8, r: 8, t: 8, b: 8 }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: colour("ink") },
      xaxis: xaxis || timeAxis(), yaxis: axis(yaxis), hovermode: "x unified", showlegend: false,
      hoverlabel: { bgcolor: colour("panel"), bordercolor: colour("line"), font: { size: 12, color: colour("ink") }, namelength: -1 },
      legend: { orientation: "h", x: 0, y: -0.14, yanchor: "top", font: { size: 11, color: colour("muted") } },
      ...rest,
    };
  }
  const legendAbove = { orientation: "h", x: 1, xanchor: "right", y: 1.02, yanchor: "bottom", font: { size: 11 } };
  const dates = (ms) => ms.map((t) => new Date(t).toISOString());

  /* Buttons of which one is pressed; `onPick` is called with its number, first at once. */
  function picks(box, names, onPick, first = 0) {
    const buttons = names.map((name, i) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = name;
      button.addEventListener("click", () => press(i));
      return button;
    });
    function press(i) {
      buttons.forEach((button, j) => button.setAttribute("aria-pressed", String(i === j)));
      onPick(i);
    }
    box.replaceChildren(...buttons);
    if (names.length) press(Math.min(first, names.length - 1));
  }
  const element = (id) => document.getElementById(id);
  return { DASH, PARTS, age, axis, colour, config, dates, dollars, element, fade, isKnown, layout, legendAbove, number, picks, time, timeAxis, usd, words };
})();
