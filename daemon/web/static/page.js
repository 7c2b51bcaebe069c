// Every page: theme, forms, the stream from the service; on a camera's page the timeline.
import { sendForms } from "./forms.js";
import { listen } from "./live.js";
import { followTimeline } from "./timeline.js";

function offerTheme() {
  const button = document.querySelector("[data-theme-button]");
  const root = document.documentElement;
  const dark = () => (root.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const name = () => { button.setAttribute("aria-label", button.title = dark() ? "Light colours" : "Dark colours"); };
  button.hidden = false;
  name();
  button.addEventListener("click", () => {
    root.dataset.theme = dark() ? "light" : "dark";
    try { localStorage.setItem("theme", root.dataset.theme); } catch { /* it holds for this page */ }
    name();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", name);
}

offerTheme();
sendForms();
followTimeline();
listen();
