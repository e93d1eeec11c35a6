package pages_test

// masked replaces what differs from run to run by text of the same kind: ids, hashes, keys and ports, the time that a
// check took, and on the operators' pages the numbers of the machine. Times and all else are fixed.
const masked = `(() => {
	const random = /\b(?=[a-f]*\d)[0-9a-f]{8,}\b|(?=[A-Za-z+\/_]*\d)[A-Za-z0-9+\/_]{24,}={0,2}|127\.0\.0\.1:\d+/g;
	const took = /\bin [\d.,]+ (?:ns|µs|ms|s)\b/g;
	const size = /\b[\d.,]+ (?:B|KiB|MiB|GiB|TiB)\b/g;
	const months = /\b(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)\b/g;
	const even = (text) => text.replaceAll(random, (found) => "0".repeat(found.length)).replaceAll(took, "in 0 ms");
	const machine = (text) => text.replaceAll(size, "0 MiB").replaceAll(months, "Jan").replaceAll(/\d[\d.,:]*/g, "0");
	const console = location.pathname.startsWith("/console");
	const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	for (let node = texts.nextNode(); node; node = texts.nextNode()) {
		if (node.parentElement.closest("script, style")) continue;
		const live = console && node.parentElement.closest(".stat, dl, time, .num, .sub");
		const text = live ? machine(even(node.data)) : even(node.data);
		if (text !== node.data) node.data = text;
	}
	// Whether the disk of the machine is nearly full decides these.
	if (console) for (const stat of document.querySelectorAll(".stat")) stat.classList.remove("bad", "warn");
	if (console) for (const banner of document.querySelectorAll(".banner")) banner.remove();
	for (const field of document.querySelectorAll("input, textarea")) {
		if (field.type !== "password" && even(field.value) !== field.value) field.value = even(field.value);
		if (field.placeholder) field.placeholder = even(field.placeholder);
	}
	// The window is as high as the page in a picture: what loads more at its end must not.
	for (const end of document.querySelectorAll('[hx-trigger="revealed"]')) end.replaceWith(end.cloneNode(true));
	return "";
})()`
