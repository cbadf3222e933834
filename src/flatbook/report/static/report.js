/* Draws the tear sheet's charts from the data in the page. */
(() => {
  const { PARTS, age, axis, colour, config, dates, dollars, element, fade, layout, legendAbove, number, picks, time, timeAxis, usd, words } = flatbook;
  const data = JSON.parse(element("data").textContent);
  const SHOWN_PARTS = 6;

  const line = (x, y, name, color, extra = {}) => ({
    type: "scatter", mode: "lines", x, y, name, line: { color, width: 1.6, ...(extra.line || {}) },
    ...Object.fromEntries(Object.entries(extra).filter(([key]) => key !== "line")),
  });
  const whole = data.equity.t.length > 1 ? dates([data.equity.t[0], data.equity.t[data.equity.t.length - 1]]) : undefined;
  function draw(id, traces, options) {
    const box = element(id);
    if (box) Plotly.react(box, traces, layout({ xaxis: timeAxis({ range: whole }), ...options }), config);
  }

  function stageShapes() {
    const tones = { widen: colour("warn-soft"), reduce_only: colour("loss-soft"), flat: colour("loss-soft"), halt: colour("loss-soft") };
    return data.stages.filter((span) => tones[span.stage]).map((span) => ({
      type: "rect", xref: "x", yref: "paper", x0: new Date(span.from).toISOString(), x1: new Date(span.to).toISOString(),
      y0: 0, y1: 1, fillcolor: tones[span.stage], line: { width: 0 }, layer: "below",
    }));
  }

  function drawEquity() {
    const { t, equity, index_usd: index, parts } = data.equity;
    const x = dates(t);
    const last = (name) => Math.abs(parts[name][parts[name].length - 1] || 0);
    const largest = new Set(Object.keys(parts).sort((a, b) => last(b) - last(a)).slice(0, SHOWN_PARTS));
    const lines = Object.keys(parts).map((name) => line(x, parts[name], words(name), PARTS[name], {
      line: { width: 1.3 }, visible: largest.has(name) ? true : "legendonly", hovertemplate: "%{y:$,.0f}",
    }));
    lines.push(line(x, equity, "Equity", colour("ink"), { line: { width: 2.4 }, legendrank: 1, hovertemplate: "<b>%{y:$,.0f}</b>" }));
    draw("equity", lines, { height: 470, showlegend: true, shapes: stageShapes(), yaxis: { ...dollars(), zeroline: true } });
    draw("index", [line(x, index, "Index", colour("muted"), { hovertemplate: "%{y:$,.2f}" })],
      { height: 170, shapes: stageShapes(), yaxis: { tickformat: "$,.0f" } });
  }

  function drawExposures() {
    const e = data.exposures, x = dates(e.t);
    const one = (id, name, column, color, extra = {}) =>
      draw(id, [line(x, e[column], name, color, { hovertemplate: "%{y:$,.0f}", ...extra })], { height: 220, yaxis: dollars() });
    one("delta", "Delta", "delta_usd", colour("accent"), {
      customdata: e.delta_coin, hovertemplate: "%{y:$,.0f}<br>%{customdata:.4f} coin",
    });
    one("gamma", "Gamma", "gamma_1pct_usd", PARTS.gamma);
    one("theta", "Theta", "theta_usd_day", PARTS.theta);
    one("stress", "Stress loss", "stress_loss_usd", colour("loss"), { fill: "tozeroy", fillcolor: colour("loss-soft") });
    const tenors = [["vega_short_usd", "short", "#e0b25e"], ["vega_mid_usd", "mid", "#a9925f"], ["vega_long_usd", "long", "#7c6a8f"]];
    draw("vega", [
      ...tenors.map(([column, name, color]) => line(x, e[column], name, color, { line: { width: 1.2 }, hovertemplate: "%{y:$,.0f}" })),
      line(x, e.vega_usd, "total", PARTS.vega, { line: { width: 2.2 }, hovertemplate: "<b>%{y:$,.0f}</b>" }),
    ], { height: 220, showlegend: true, yaxis: dollars(), legend: legendAbove });
    draw("positions", [line(x, e.open_positions, "Open positions", colour("muted"), { line: { shape: "hv" } })],
      { height: 220, yaxis: { rangemode: "tozero", tickformat: ",d" } });
  }

  /* Between bid and ask, an outline for each stretch without a gap: where a side is missing there is no band. */
  function bandTrace(x, bid, ask) {
    const band = { x: [], y: [] };
    let start = 0;
    for (let i = 0; i <= x.length; i++) {
      if (i < x.length && bid[i] !== null && ask[i] !== null) continue;
      if (i - start > 1) {
        band.x.push(...x.slice(start, i), ...x.slice(start, i).reverse(), null);
        band.y.push(...bid.slice(start, i), ...ask.slice(start, i).reverse(), null);
      }
      start = i + 1;
    }
    return { type: "scatter", mode: "lines", ...band, line: { width: 0 }, fill: "toself", fillcolor: "rgba(36, 87, 166, .13)", hoverinfo: "skip", showlegend: false };
  }
  function quoteTraces(q) {
    const x = dates(q.t), price = "%{y:.5f}";
    const ages = q.market_age_s;
    const bought = q.fills.side.map((side) => side > 0);
    return [
      bandTrace(x, q.bid, q.ask),
      line(x, q.ask, "our ask", colour("accent"), { line: { width: 0.8 }, hovertemplate: price }),
      line(x, q.bid, "our bid", colour("accent"), { line: { width: 0.8 }, hovertemplate: price }),
      line(x, q.fair, "our fair value", colour("accent"), { hovertemplate: price }),
      {
        type: "scatter", mode: "markers", name: "market", x, y: q.market, customdata: ages.map(age),
        marker: { color: "#5c6675", size: 4.5, opacity: ages.map(fade) }, hovertemplate: "%{y:.5f}, %{customdata} old",
      },
      {
        type: "scatter", mode: "markers", name: "our fill", x: dates(q.fills.t), y: q.fills.price,
        customdata: q.fills.t.map((_, i) => `${bought[i] ? "bought" : "sold"} ${number(q.fills.size[i], 1)}, edge ${usd(q.fills.edge_usd[i], 0, true)}`),
        marker: {
          size: 10, symbol: bought.map((b) => (b ? "triangle-up" : "triangle-down")), line: { width: 1, color: colour("panel") },
          color: bought.map((b) => (b ? colour("gain") : colour("loss"))),
        }, hovertemplate: "%{y:.5f} %{customdata}",
      },
    ];
  }
  function drawQuotes() {
    const box = element("quote-picks");
    if (!box) return;
    picks(box, data.quotes.map((q) => q.instrument), (i) => {
      draw("quote", quoteTraces(data.quotes[i]), { height: 400, showlegend: true, yaxis: { tickformat: ".4f" } });
    });
  }

  function drawHedges() {
    const h = data.hedges;
    if (!element("hedge")) return;
    const x = dates(h.t), steps = { x: [], y: [] };
    x.forEach((at, i) => { steps.x.push(at, at, null); steps.y.push(h.delta_before_coin[i], h.delta_after_coin[i], null); });
    const notes = x.map((_, i) => `${h.side[i] > 0 ? "bought" : "sold"} ${usd(h.size_usd[i])} at ${number(h.price[i], 1)}, ${h.reason[i]}`);
    const dots = (y, name, color, extra) => ({
      type: "scatter", mode: "markers", x, y, name, marker: { size: 4.5, color, ...extra }, hovertemplate: "%{y:.4f}",
    });
    draw("hedge", [
      line(steps.x, steps.y, "", colour("line"), { hoverinfo: "skip", showlegend: false, line: { width: 1 } }),
      dots(h.delta_before_coin, "before", colour("warn"), { symbol: "circle-open" }),
      { ...dots(h.delta_after_coin, "after", colour("accent"), {}), customdata: notes, hovertemplate: "%{y:.4f}<br>%{customdata}" },
    ], { height: 270, showlegend: true, yaxis: { tickformat: "~g" }, legend: legendAbove });
    draw("hedge-cost", [line(x, h.paid_usd, "Paid", colour("loss"), { line: { shape: "hv" }, hovertemplate: "%{y:$,.2f}" })],
      { height: 270, yaxis: dollars() });
  }

  function drawSlice(slice, range) {
    const { strike, mid, half, age: ages } = slice.points;
    const dots = {
      type: "scatter", mode: "markers", name: "market", x: strike, y: mid, customdata: ages.map(age),
      error_y: { type: "data", array: half, thickness: 1, width: 3, color: colour("faint") },
      marker: { size: 6, color: "#4d5868", opacity: ages.map(fade) }, hovertemplate: "%{x:,.0f}: %{y:.2f} %, %{customdata} old<extra></extra>",
    };
    const curve = line(slice.strike, slice.vol, "our fit", colour("accent"), { line: { width: 2.4 }, hovertemplate: "%{x:,.0f}: %{y:.2f} %<extra></extra>" });
    const forward = { type: "line", xref: "x", yref: "paper", x0: slice.forward, x1: slice.forward, y0: 0, y1: 1, line: { color: colour("faint"), width: 1, dash: "dot" } };
    Plotly.react(element("smile-plot"), [dots, curve], layout({
      height: 400, hovermode: "closest", showlegend: true, shapes: [forward],
      xaxis: axis({ tickformat: ",.0f", range: range.x }),
      yaxis: { ticksuffix: " %", range: range.y }, legend: legendAbove,
    }), config);
    element("smile-note").textContent = `${time(slice.t)} UTC · forward ${usd(slice.forward)} · fit: ${slice.status.replaceAll("_", " ")}, ` +
      `${age(slice.age)} old, error ${number(slice.rmse, 2)} vol pt · ${strike.length} points`;
  }
  /* One range for every time of an expiry, so that the slider shows the smile move and not the axes. */
  function sliceRange(slices) {
    const known = (values) => values.filter((v) => typeof v === "number");
    const spread = (values, margin) => {
      const low = Math.min(...values), high = Math.max(...values);
      return [low - margin * (high - low), high + margin * (high - low)];
    };
    return {
      x: spread(known(slices.flatMap((s) => [...s.strike, ...s.points.strike])), 0.02),
      y: spread(known(slices.flatMap((s) => [...s.vol, ...s.points.mid])), 0.08),
    };
  }
  function drawSmiles() {
    const slider = element("smile-time");
    if (!slider) return;
    const ends = data.smiles.map((smile) => smile.slices[smile.slices.length - 1].t);
    const nearestAlive = ends.indexOf(Math.max(...ends));
    picks(element("smile-picks"), data.smiles.map((smile) => smile.expiry), (i) => {
      const { slices } = data.smiles[i], range = sliceRange(slices);
      slider.max = slices.length - 1;
      slider.disabled = slices.length < 2;
      slider.value = slices.length - 1;
      slider.oninput = () => drawSlice(slices[Number(slider.value)], range);
      slider.oninput();
    }, nearestAlive);
  }

  drawEquity();
  drawExposures();
  drawQuotes();
  drawHedges();
  drawSmiles();
})();
