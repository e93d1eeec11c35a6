// data-copy="text" copies the text; data-copy alone copies the <pre> of the
// same block.
import { toast } from "./toast.js";

export function copyButtons() {
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const text = button.dataset.copy || button.closest(".code")?.querySelector("pre")?.textContent || "";
    try {
      await navigator.clipboard.writeText(text);
      toast("Copied");
    } catch {
      toast("The browser did not let us copy; select the text instead", "warn");
    }
  });
}
