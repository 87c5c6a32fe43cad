// Tells the page around us how high we are, and when our token is over, so that it can bring another.
"use strict";
{
  const tell = (message) => { if (parent !== window) parent.postMessage({ source: "spanmeter", ...message }, "*"); };
  const height = () => tell({ type: "height", height: document.documentElement.scrollHeight });
  if (document.body.dataset.problem === "401") tell({ type: "expired" });
  new ResizeObserver(height).observe(document.body);
  document.addEventListener("refreshed", height);
}
