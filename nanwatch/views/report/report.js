"use strict";
(() => {
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const colors = (isDark) => ({
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    "font.color": isDark ? "#e3e6ea" : "#1c1f23",
    "xaxis.gridcolor": isDark ? "#363c44" : "#d5d9de",
    "yaxis.gridcolor": isDark ? "#363c44" : "#d5d9de",
    "xaxis.linecolor": isDark ? "#7a828c" : "#565d66",
    "hoverlabel.bgcolor": isDark ? "#1e2329" : "#ffffff",
    "hoverlabel.font.color": isDark ? "#e3e6ea" : "#1c1f23",
  });
  const options = {
    responsive: true,
    displayModeBar: false,
  };
  const plots = [...document.querySelectorAll(".plot")];
  const paint = (plot, isDark) => {
    const color = isDark ? "#56b4e9" : "#0072b2";
    const lines = plot.data.flatMap((trace, n) => (trace.meta === "line" ? [n] : []));
    return window.Plotly.update(plot, { "line.color": color, "marker.color": color }, colors(isDark), lines);
  };
  const paintAll = (isDark) => plots.filter((plot) => plot.data).forEach((plot) => paint(plot, isDark));
  const addScale = (plot) => {
    const values = plot.data.flatMap((trace) => (trace.yaxis ? [] : trace.y)).filter((value) => value > 0);
    const low = values.reduce((a, b) => Math.min(a, b), Infinity);
    const high = values.reduce((a, b) => Math.max(a, b), 0);
    if (!(high > 20 * low)) return;
    const button = document.createElement("button");
    const isLog = () => plot.layout.yaxis.type === "log";
    button.textContent = "log scale";
    button.addEventListener("click", async () => {
      await window.Plotly.relayout(plot, { "yaxis.type": isLog() ? "linear" : "log", "yaxis.autorange": true });
      button.textContent = isLog() ? "linear scale" : "log scale";
    });
    plot.parentElement.querySelector("figcaption").append(" ", button);
  };
  const draw = async (plot) => {
    watcher.unobserve(plot);
    if (plot.data) return;
    const { data, layout } = figures[Number(plot.dataset.figure)];
    await window.Plotly.newPlot(plot, data, layout, options);
    await paint(plot, dark.matches);
    // Each epoch has its tick, until somebody looks into one.
    plot.on("plotly_relayout", (change) => {
      const [start, end] = plot.layout.xaxis.range;
      if ("xaxis.range[0]" in change && plot.layout.xaxis.dtick === 1 && end - start < 2) {
        window.Plotly.relayout(plot, { "xaxis.dtick": null });
      }
    });
    plot.classList.add("drawn");
    addScale(plot);
  };
  // A report on many runs has hundreds of plots: each is drawn when it is about to be seen.
  const watcher = new IntersectionObserver(
    (entries) => entries.filter((entry) => entry.isIntersecting).forEach((entry) => draw(entry.target)),
    { rootMargin: "800px" },
  );
  plots.forEach((plot) => watcher.observe(plot));
  dark.addEventListener("change", () => paintAll(dark.matches));
  window.addEventListener("beforeprint", () => Promise.all(plots.map(draw)).then(() => paintAll(false)));
  window.addEventListener("afterprint", () => paintAll(dark.matches));
})();
