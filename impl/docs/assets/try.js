// The form to try an operation: builds the request, sends it from the browser
// and shows the answer as it comes.
"use strict";
(() => {
  const form = document.getElementById("tryit");
  const forms = JSON.parse(form.dataset.forms);
  const fields = document.getElementById("fields");
  const curl = document.querySelector("#curl code");
  const outcome = document.getElementById("outcome");
  const answer = document.getElementById("answer");
  const stop = document.getElementById("stop");
  const limit = 256 * 1024; // characters of an answer that are shown
  let running = null;

  const element = (name, properties, ...children) => {
    const e = Object.assign(document.createElement(name), properties);
    e.append(...children);
    return e;
  };
  // Descriptions are Markdown; the backticks are what they use of it.
  const prose = (text) => element("span", {}, ...text.split("`").map((part, i) => i % 2 ? element("code", { textContent: part }) : part));
  const input = (p) => {
    if (p.type === "boolean") {
      return element("select", {}, element("option", { value: "", textContent: "(left out)" }), element("option", { value: "1", textContent: "1" }), element("option", { value: "0", textContent: "0" }));
    }
    if (p.values) {
      return element("select", {}, element("option", { value: "", textContent: "(left out)" }), ...p.values.map((v) => element("option", { value: v, textContent: v })));
    }
    return element("input", { type: "text", required: p.in === "path", autocomplete: "off" });
  };
  const current = () => forms[form.elements.version.value];
  const lay = () => {
    const kept = new Map([...fields.querySelectorAll("[name]")].map((e) => [e.name, e.value]));
    fields.replaceChildren();
    for (const p of current().parameters) {
      const e = input(p);
      e.name = p.in + ":" + p.name;
      e.value = kept.get(e.name) || "";
      fields.append(element("label", {}, `${p.name} (${p.in}${p.required ? ", required" : ""})`, prose(p.description), e));
    }
    if (current().hasBody) {
      const e = element("textarea", { name: "body", value: kept.get("body") || current().body, spellcheck: false });
      fields.append(element("label", {}, "Body", e));
    }
    write();
  };
  const build = () => {
    const f = current();
    const query = new URLSearchParams();
    const headers = {};
    let path = f.path;
    for (const p of f.parameters) {
      const value = fields.querySelector(`[name="${p.in}:${p.name}"]`).value;
      if (p.in === "path") path = path.replace("{" + p.name + "}", value.split("/").map(encodeURIComponent).join("/") || "{" + p.name + "}");
      else if (value !== "" && p.in === "query") query.append(p.name, value);
      else if (value !== "" && p.in === "header") headers[p.name] = value;
    }
    const request = { method: f.method, headers };
    const body = fields.querySelector("textarea");
    if (body && body.value) {
      request.body = body.value;
      headers["Content-Type"] = "application/json";
    }
    const base = form.elements.engine.value.replace(/\/+$/, "");
    return [base + "/v" + form.elements.version.value + path + (query.size ? "?" + query : ""), request];
  };
  const quote = (s) => "'" + s.replaceAll("'", "'\\''") + "'";
  const write = () => {
    const [url, request] = build();
    const words = ["curl"];
    if (request.method === "HEAD") words.push("--head");
    else if (request.method !== "GET") words.push("-X " + request.method);
    for (const [k, v] of Object.entries(request.headers)) words.push("-H " + quote(k + ": " + v));
    if (request.body) words.push("-d " + quote(request.body));
    curl.textContent = [...words, quote(url)].join(" ");
  };
  const send = async () => {
    const [url, request] = build();
    const began = performance.now();
    running = new AbortController();
    stop.hidden = false;
    answer.hidden = false;
    const code = answer.firstChild;
    code.textContent = "";
    outcome.textContent = "Asking …";
    try {
      const response = await fetch(url, { ...request, signal: running.signal });
      const status = `${response.status} ${response.statusText}, ${response.headers.get("Content-Type") || "no media type"}`;
      outcome.textContent = status;
      let bytes = 0;
      const decoder = new TextDecoder();
      const reader = response.body ? response.body.getReader() : { read: async () => ({ done: true }) };
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        bytes += value.length;
        if (code.textContent.length < limit) code.append(decoder.decode(value, { stream: true }));
        outcome.textContent = `${status}, ${bytes} bytes`;
      }
      if ((response.headers.get("Content-Type") || "").startsWith("application/json") && code.textContent.length < limit) {
        try { code.textContent = JSON.stringify(JSON.parse(code.textContent), null, 2); } catch { /* a stream of objects stays as it came */ }
      }
      outcome.textContent = `${status}, ${bytes} bytes in ${Math.round(performance.now() - began)} ms`;
    } catch (error) {
      outcome.textContent = error.name === "AbortError" ? "Stopped." :
        `No answer (${error.message}). Does the engine listen at that address, and does it send Access-Control-Allow-Origin? The curl line works without that.`;
    } finally {
      stop.hidden = true;
      running = null;
    }
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (current().hijacks) {
      outcome.textContent = "This operation takes the connection over, which a browser cannot follow. Use the curl line, or one of the clients.";
      return;
    }
    if (!running) send();
  });
  stop.addEventListener("click", () => running && running.abort());
  form.elements.version.addEventListener("change", lay);
  form.addEventListener("input", write);
  lay();
})();
