// Forms are sent without leaving the page; without script they work as forms.
export function sendForms() {
  for (const form of document.querySelectorAll("form[data-send]")) {
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const said = form.querySelector(".said");
      const body = new URLSearchParams(new FormData(form, event.submitter));
      said.textContent = "…";
      try {
        const answer = await fetch(form.action, {
          method: "POST",
          body,
          headers: { Accept: "application/json", "X-CSRF-Token": body.get("csrf") ?? "" },
        });
        const kind = answer.headers.get("Content-Type") ?? "";
        const error = kind.includes("json") ? (await answer.json()).error : answer.ok ? null : await answer.text();
        said.textContent = error ? `Not done: ${error}` : "Done.";
        said.classList.toggle("wrong", Boolean(error));
        if (!error && body.get("key") === "enabled") location.reload();
      } catch {
        said.textContent = "Not done: no connection to the service.";
        said.classList.add("wrong");
      }
    });
  }
}
