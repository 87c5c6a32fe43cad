// Light or dark as the reader chose last, before anything is drawn; without a choice, as the system has it.
"use strict";
{
  const root = document.documentElement;
  const chosen = () => { try { return localStorage.getItem("theme"); } catch { return null; } };
  if (chosen()) root.dataset.theme = chosen();
  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-theme-switch]")) return;
    const dark = getComputedStyle(root).colorScheme === "dark";
    root.dataset.theme = dark ? "light" : "dark";
    try { localStorage.setItem("theme", root.dataset.theme); } catch { /* private windows keep nothing */ }
    document.dispatchEvent(new Event("themed"));
  });
}
