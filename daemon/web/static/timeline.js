// The timeline: a click or Enter explains a moment; the threshold's line moves with its slider.
const WIDTH = 1000;

export function followTimeline() {
  const timeline = document.querySelector("[data-timeline]");
  if (!timeline) return;
  const panel = document.getElementById("why");
  let x = WIDTH; // where the cursor is
  let asked = 0;

  const plot = () => timeline.querySelector("[data-plot]");
  const at = () => {
    const { since, until } = plot().dataset;
    return Number(since) + ((Number(until) - Number(since)) * x) / WIDTH;
  };
  const move = (to) => {
    x = Math.min(WIDTH, Math.max(0, to));
    const cursor = timeline.querySelector("[data-cursor]");
    cursor.setAttribute("x1", x);
    cursor.setAttribute("x2", x);
    timeline.setAttribute("aria-valuenow", Math.round(x));
    timeline.setAttribute("aria-valuetext", new Date(at() * 1000).toLocaleString());
  };
  const explain = async (seconds) => {
    const mine = ++asked;
    panel.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(`${timeline.dataset.why}?part=1&at=${seconds}`);
      const text = await answer.text();
      if (mine !== asked) return; // a later click has overtaken this one
      if (answer.ok) panel.innerHTML = text; // made by the service's templates: escaped there
      else panel.textContent = text;
    } catch {
      panel.textContent = "No connection to the service.";
    }
    panel.removeAttribute("aria-busy");
  };

  timeline.addEventListener("click", (event) => {
    const curve = event.target.closest(".plot");
    if (!curve) return;
    event.preventDefault();
    const box = curve.getBoundingClientRect();
    move(((event.clientX - box.left) / box.width) * WIDTH);
    explain(at());
  });
  timeline.addEventListener("keydown", (event) => {
    if (event.target !== timeline) return;
    const step = { ArrowLeft: -5, ArrowRight: 5, PageDown: -50, PageUp: 50 }[event.key];
    if (step) move(x + step);
    else if (event.key === "Home") move(0);
    else if (event.key === "End") move(WIDTH);
    else if (event.key === "Enter") explain(at());
    else return;
    event.preventDefault();
  });
  document.querySelector("[data-explain]")?.addEventListener("submit", (event) => {
    event.preventDefault();
    explain(new FormData(event.target).get("at"));
  });

  const form = document.querySelector("[data-threshold-form]");
  if (!form) return;
  const slider = form.querySelector("[data-slider]");
  const number = form.querySelector("[data-number]");
  const meant = form.querySelector("[data-meant]");
  let touched = false;
  const draw = () => {
    if (!touched) return;
    const value = Math.min(1, Math.max(0, Number(number.value)));
    const line = timeline.querySelector("[data-limit]");
    line?.setAttribute("y1", 100 - 100 * value);
    line?.setAttribute("y2", 100 - 100 * value);
    const above = plot().dataset.above.split(" ").map(Number);
    const count = above[Math.round(value * (above.length - 1))];
    const of = above[0] === 1 ? "1 clip" : `${above[0]} clips`;
    meant.textContent = `${value.toFixed(2)} would have meant ${count} of ${of} at or above it in this window.`;
  };
  slider.addEventListener("input", () => { touched = true; number.value = slider.value; draw(); });
  number.addEventListener("input", () => { touched = true; slider.value = number.value; draw(); });
  timeline.addEventListener("patched", () => { draw(); move(x); });
}
