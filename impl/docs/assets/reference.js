// The reference page: starts the viewer and keeps the reader's place when the
// version is changed.
"use strict";
(() => {
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const paper = dark.matches
    ? { ink: "#e2e8eb", quiet: "#9fadb5", paper: "#12181b", raised: "#1b2327", line: "#34424a", link: "#73c5e3", code: "#ffb4a8" }
    : { ink: "#1c2429", quiet: "#57646c", paper: "#ffffff", raised: "#f3f6f7", line: "#d5dde1", link: "#0b5d7a", code: "#9c2f1f" };
  const sans = "system-ui, sans-serif", mono = 'ui-monospace, "DejaVu Sans Mono", monospace';
  const header = document.querySelector("header");

  Redoc.init(window.reference, {
    hideDownloadButton: true,
    hideHostname: true,
    disableSearch: false,
    nativeScrollbars: true,
    expandResponses: "200,201",
    jsonSampleExpandLevel: 3,
    pathInMiddlePanel: true,
    scrollYOffset: () => header.offsetHeight,
    theme: {
      colors: {
        primary: { main: paper.link },
        text: { primary: paper.ink, secondary: paper.quiet },
        border: { dark: paper.line, light: paper.line },
        gray: { 50: paper.raised, 100: paper.raised },
        success: { main: dark.matches ? "#7fd3a3" : "#0f6b3c" },
        error: { main: dark.matches ? "#ff9c92" : "#a2281f" },
        responses: {
          success: { color: dark.matches ? "#7fd3a3" : "#0f6b3c", backgroundColor: dark.matches ? "#143524" : "#e2f3e8", tabTextColor: "#7fd3a3" },
          error: { color: dark.matches ? "#ff9c92" : "#a2281f", backgroundColor: dark.matches ? "#41201d" : "#fbe7e5", tabTextColor: "#ff9c92" },
        },
      },
      typography: {
        fontFamily: sans, fontSize: "15px",
        headings: { fontFamily: sans },
        code: { fontFamily: mono, color: paper.code, backgroundColor: paper.raised, wrap: true },
        links: { color: paper.link, visited: paper.link, hover: paper.link },
      },
      sidebar: { backgroundColor: paper.raised, textColor: paper.ink, activeTextColor: paper.link },
      schema: { nestedBackground: paper.raised, typeNameColor: paper.quiet, typeTitleColor: paper.quiet, linesColor: paper.line },
      rightPanel: { backgroundColor: "#202b31" },
    },
  }, document.getElementById("reference"), (error) => {
    if (error) document.getElementById("reference").textContent = "The viewer failed: " + error.message;
  });

  // #operation/ID and the viewer's own #tag/TAG/operation/ID name the same place.
  const place = () => (location.hash.match(/operation\/([A-Za-z]+)/) || [])[1];
  for (const link of document.querySelectorAll("a[data-version]")) {
    link.addEventListener("click", () => {
      const base = link.href.split("#")[0];
      link.href = place() ? base + "#operation/" + place() : base;
    });
  }
  const ids = new Map();
  for (const methods of Object.values(window.reference.paths)) {
    for (const o of Object.values(methods)) {
      if (o.operationId) ids.set(o.operationId, o.tags[0]);
    }
  }
  const notice = document.getElementById("notice");
  const check = () => {
    const id = place();
    notice.hidden = !id || ids.has(id);
    if (!notice.hidden) {
      notice.textContent = `Version ${window.reference.info.version} has no operation ${id}. `;
      const link = document.createElement("a");
      link.href = document.body.dataset.root + "operations/" + id + "/index.html";
      link.textContent = "The versions that have it";
      notice.append(link);
    }
  };
  window.addEventListener("hashchange", check);
  check();
  dark.addEventListener("change", () => location.reload());
})();
