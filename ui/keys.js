// Keys that Gradio has no option for: Ctrl+Enter (or Cmd+Enter) runs a comparison from its
// several-line box, Escape stops what is being written. A disabled button ignores the click.
document.addEventListener("keydown", (event) => {
  const press = (id) => document.getElementById(id)?.click();
  if (event.key === "Escape") {
    press("play-stop");
    press("compare-stop");
  } else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    if (event.target.closest?.("#compare-prompt")) press("compare-run");
  }
});

// A browser keeps one story, whichever tab told it last. This event comes from other tabs only.
window.addEventListener("storage", (event) => {
  const warning = document.getElementById("other-tab");
  if (warning && event.key === "lmft-story") warning.hidden = false;
});

// Once the server is gone Gradio hands over no event, and loads the page anew when it is back: what
// is typed until then must be there again.
document.addEventListener("input", (event) => {
  if (event.target.closest?.("#play-box")) localStorage.setItem("lmft-unsent", event.target.value);
});
