/* Draws profit against risk, one dot a run. */
(() => {
  const { axis, colour, config, element, layout, picks, usd } = flatbook;
  const data = JSON.parse(element("data").textContent);
  const hues = ["#2457a6", "#c98a1b", "#1f8a68", "#8465b8", "#b8473f", "#2f8f9d", "#6f7b8b"];

  picks(element("risk-picks"), data.risks.map((risk) => risk.name), (i) => {
    const { name, unit, values } = data.risks[i];
    Plotly.react(element("profit-risk"), [{
      type: "scatter", mode: "markers+text", x: values, y: data.pnl, text: data.names, textposition: "top center", cliponaxis: false,
      customdata: values.map((value, k) => `${name} ${usd(value)}, P&L ${usd(data.pnl[k], 0, true)}`),
      marker: { size: 15, color: data.names.map((_, k) => hues[k % hues.length]), line: { width: 2, color: colour("panel") } },
      hovertemplate: "<b>%{text}</b><br>%{customdata}<extra></extra>",
    }], layout({
      height: 400, hovermode: "closest", margin: { l: 8, r: 24, t: 28, b: 8 },
      xaxis: axis({ rangemode: "tozero", tickformat: "$,.3~s", title: { text: `${name}, ${unit}`, font: { size: 12 }, standoff: 10 } }),
      yaxis: { tickformat: "$,.3~s", zeroline: true },
    }), config);
  });
})();
