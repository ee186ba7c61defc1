// Runs before the page is painted, so that nothing flashes: the theme that was chosen on this machine.
"use strict";
try {
  const chosen = localStorage.getItem("theme");
  if (chosen === "dark" || chosen === "light") document.documentElement.dataset.theme = chosen;
} catch {
  // Storage may be shut off; then the system's theme holds.
}
