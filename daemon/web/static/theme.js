// Before anything is painted: the theme that was chosen here, if any.
{
  let chosen = null;
  try { chosen = localStorage.getItem("theme"); } catch { /* storage is off: as the system has it */ }
  if (chosen === "dark" || chosen === "light") document.documentElement.dataset.theme = chosen;
}
