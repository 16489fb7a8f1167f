// The search page: every word has to occur, in any order, whatever its case.
"use strict";
(() => {
  const most = 200;
  const rank = { operation: 0, change: 1, parameter: 2, field: 3 };
  const query = document.getElementById("query");
  const count = document.getElementById("count");
  const results = document.getElementById("results");
  const entries = window.entries.map((e) => ({ ...e, low: (e.k + " " + e.t).toLowerCase() }));

  const span = (name, text) => {
    const s = document.createElement("span");
    s.className = name;
    s.textContent = text;
    return s;
  };
  const show = () => {
    const words = query.value.toLowerCase().split(/\s+/).filter(Boolean);
    results.replaceChildren();
    if (words.length === 0) {
      count.textContent = "";
      return;
    }
    const found = entries.filter((e) => words.every((w) => e.low.includes(w)));
    found.sort((a, b) => rank[a.k] - rank[b.k] || a.t.length - b.t.length);
    count.textContent = found.length === 0 ? "Nothing found." :
      found.length > most ? `${found.length} found, the first ${most}:` : `${found.length} found`;
    for (const e of found.slice(0, most)) {
      const item = document.createElement("li");
      const link = document.createElement("a");
      link.href = document.body.dataset.root + e.l;
      link.textContent = e.t;
      const versions = e.v.length === 1 ? e.v[0] : e.v[0] + "–" + e.v[e.v.length - 1];
      item.append(span("kind", e.k), link, " ", span("quiet", versions));
      results.append(item);
    }
  };
  const fromAddress = () => {
    query.value = new URLSearchParams(location.hash.slice(1)).get("q") || "";
    show();
  };
  query.addEventListener("input", () => {
    history.replaceState(null, "", query.value ? "#q=" + encodeURIComponent(query.value) : location.pathname);
    show();
  });
  document.getElementById("search").addEventListener("submit", (event) => event.preventDefault());
  window.addEventListener("hashchange", fromAddress);
  fromAddress();
  query.focus();
})();
