/* Draws profit against risk, one dot a maker, with bars where the hours say how sure it is. */
(() => {
  const { axis, colour, config, dollars, element, layout, picks, usd } = flatbook;
  const data = JSON.parse(element("data").textContent);
  const hues = ["#2457a6", "#c98a1b", "#1f8a68", "#8465b8", "#b8473f", "#2f8f9d", "#6f7b8b"];
  const hue = (k) => hues[k % hues.length];
  const { profit } = data;

  function bar({ values, low, high }, k) {
    if (!low) return { visible: false };
    const ends = { array: [high[k] - values[k]], arrayminus: [values[k] - low[k]] };
    return { type: "data", symmetric: false, ...ends, color: hue(k), thickness: 1.4, width: 5 };
  }
  const range = ({ values, low, high }, k, signed) =>
    usd(values[k], 0, signed) + (low ? ` (${usd(low[k], 0, signed)} to ${usd(high[k], 0, signed)})` : "");

  picks(element("risk-picks"), data.risks.map((risk) => risk.name), (i) => {
    const risk = data.risks[i];
    Plotly.react(element("profit-risk"), data.names.map((name, k) => ({
      type: "scatter", mode: "markers+text", x: [risk.values[k]], y: [profit.values[k]], text: [name], textposition: "top center",
      cliponaxis: false, error_x: bar(risk, k), error_y: bar(profit, k),
      customdata: [`${risk.name} ${range(risk, k)}<br>${profit.name} ${range(profit, k, true)}`],
      marker: { size: 15, color: hue(k), line: { width: 2, color: colour("panel") } },
      hovertemplate: "<b>%{text}</b><br>%{customdata}<extra></extra>",
    })), layout({
      height: 440, hovermode: "closest", margin: { l: 8, r: 24, t: 28, b: 8 },
      xaxis: axis({ rangemode: "tozero", ...dollars(), title: { text: `${risk.name}, ${risk.unit}`, font: { size: 12 }, standoff: 10 } }),
      yaxis: { ...dollars(), zeroline: true, title: { text: profit.name, font: { size: 12 } } },
    }), config);
  });
})();
