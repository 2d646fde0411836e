// The check of every kernel, and the times of some: long work with a table at its end.
import { open, worker } from "./device.js";
import { $ } from "./dom.js";
import { show, state } from "./state.js";
import { LOST, attempt, calm } from "./trouble.js";

const progress = (kind, text) => ($(`${kind}-progress`).textContent = text);

worker.listen({
  checked({ op, lines }) {
    if (state.job?.kind !== "check") return;
    const lost = lines.find((line) => LOST.test(line));
    if (lost) {
      worker.ask("stopJob");
      return worker.listeners.failed({ message: lost });
    }
    if (lines.length > 0) append("check", `${lines.join("\n")}\n`);
    advance(op);
  },
  measured({ next }) {
    if (state.job?.kind === "bench") advance(next ?? "");
  },
  table({ kind, table, failed, whole }) {
    append(kind, `adapter  ${state.device.name}\nbrowser  ${navigator.userAgent}\n${table}`);
    const verdict = failed === 0 ? "No kernel failed." : `${failed} failed: please put the table into an issue.`;
    const told = {
      check: `${whole ? "All cases are checked." : "The check was stopped."} ${verdict}`,
      bench: whole ? "All is measured." : "The measurement was stopped.",
    };
    progress(kind, told[kind]);
    state.job = undefined;
    const hadFocus = document.activeElement === $(`${kind}-stop`);
    show();
    // The button that had it is gone.
    if (hadFocus) $(`${kind}-copy`).focus();
  },
});

function advance(what) {
  const { job } = state;
  job.done += 1;
  $(`${job.kind}-bar`).value = job.done / job.count;
  progress(job.kind, `${job.done} of ${job.count}: ${what}.`);
}

function append(kind, text) {
  $(`${kind}-table`).hidden = false;
  $(`${kind}-table`).append(text);
}

function begin(kind, what, given) {
  attempt(async () => {
    calm();
    Object.assign($(`${kind}-table`), { textContent: "", hidden: true });
    if (state.isLost) await open();
    const count = await worker.ask(what, given);
    if (count === 0) return progress(kind, "No op has such a name.");
    state.job = { kind, count, done: 0 };
    Object.assign($(`${kind}-bar`), { value: 0, hidden: false });
    progress(kind, `0 of ${count}.`);
    show();
    $(`${kind}-stop`).focus();
  });
}

$("check").onclick = () => begin("check", "check", { part: $("part").value.trim(), isWhole: $("whole").checked });
for (const group of ["gemm", "conv"]) $(`bench-${group}`).onclick = () => begin("bench", "bench", { group });
for (const kind of ["check", "bench"]) {
  $(`${kind}-stop`).onclick = () => attempt(() => worker.ask("stopJob"));
  $(`${kind}-copy`).onclick = () =>
    attempt(async () => {
      await navigator.clipboard.writeText($(`${kind}-table`).textContent);
      progress(kind, "The table is copied.");
    });
}
