// Keeps the numbers in the head of the page fresh; without it they are those of
// the moment at which the page was made.
const box = document.getElementById("live"), rate = document.getElementById("rate"), failing = document.getElementById("failing");

async function refresh() {
  if (document.hidden) return;
  try {
    const answer = await fetch("/live", { cache: "no-store" });
    if (!answer.ok) throw new Error(answer.status);
    const now = await answer.json();
    rate.textContent = now.rate.toFixed(1);
    failing.textContent = (100 * now.failing).toFixed(1);
    box.classList.toggle("failing", now.failing > 0.05);
    box.classList.remove("away");
  } catch {
    box.classList.add("away"); // the shop does not answer
  }
}

setInterval(refresh, 1000);
