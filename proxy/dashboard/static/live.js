// Follows calls as they come in: rows are made from the page's own template, texts stay texts.
"use strict";

const ROWS_MAX = 200;
const table = document.querySelector("[data-live]");

if (table && "EventSource" in window) {
  const button = document.querySelector("[data-live-button]");
  const status = document.querySelector("[data-live-status]");
  const template = document.getElementById("call-row");
  const body = table.tBodies[0];
  let source = null;
  let news = 0;

  const say = (text) => {
    status.textContent = text;
  };

  const counted = () => (news === 1 ? "1 new call" : `${news} new calls`);

  const fill = (row, call) => {
    row.dataset.call = call.id;
    for (const cell of row.querySelectorAll("[data-field]")) {
      const value = call[cell.dataset.field] ?? "";
      cell.textContent = value;
      if (cell.dataset.field === "time") cell.setAttribute("href", call.address);
      if (cell.dataset.field === "state") cell.className = `state ${value}`;
    }
  };

  const find = (id) => {
    for (const row of body.rows) if (row.dataset.call === id) return row;
    return null;
  };

  const take = (call) => {
    const known = find(call.id);
    if (known) {
      fill(known, call);
      return;
    }
    // A receipt of a call from before is no new call.
    if (!call.begun && call.state === "receipted") return;
    const row = template.content.firstElementChild.cloneNode(true);
    fill(row, call);
    row.classList.add("fresh");
    body.prepend(row);
    document.querySelector("[data-empty]")?.remove();
    table.hidden = false;
    news += 1;
    say(`Live · ${counted()}`);
    while (body.rows.length > ROWS_MAX) body.lastElementChild.remove();
  };

  const stop = (text) => {
    source?.close();
    source = null;
    button.textContent = "Follow live";
    button.setAttribute("aria-pressed", "false");
    say(text);
  };

  const start = () => {
    source = new EventSource(table.dataset.live);
    button.textContent = "Pause";
    button.setAttribute("aria-pressed", "true");
    say("Connecting …");
    source.addEventListener("ready", () => say(news ? `Live · ${counted()}` : "Live · waiting for calls"));
    source.addEventListener("call", (event) => take(JSON.parse(event.data)));
    source.addEventListener("end", () => stop("This session has ended: sign in again"));
    source.addEventListener("error", () => {
      if (source?.readyState === EventSource.CLOSED) stop("The connection was refused");
      else if (source) say("Connecting again …");
    });
  };

  button.hidden = false;
  button.addEventListener("click", () => (source ? stop(`Paused · ${counted()}`) : start()));
  window.addEventListener("pagehide", () => source?.close());
}
