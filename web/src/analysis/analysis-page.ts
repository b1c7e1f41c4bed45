import { t } from "../messages.ts";
import { count, share } from "../numbers.ts";
import { find } from "../page.ts";
import { follow, isOver, list, loadFile, Refused, remove, type Task, upload } from "./client.ts";
import { HistoryView } from "./history-view.ts";
import { canRecord, type Recording, startRecording } from "./recorder.ts";
import { ResultView } from "./result-view.ts";

/** The part of the page that tells whether a voice is real: a file goes in, a chart comes out. */
export class AnalysisPage {
  readonly #main = find("#analysis", HTMLElement);
  readonly #file = find("#analysis-file", HTMLInputElement);
  readonly #record = find("#analysis-record", HTMLButtonElement);
  readonly #progress = find("#analysis-progress", HTMLElement);
  readonly #trouble = find("#analysis-trouble", HTMLElement);
  readonly #result = new ResultView();
  readonly #history: HistoryView;
  #recording: Recording | undefined;
  #running: AbortController | undefined;
  /** The task that is followed: to cancel is to delete it. */
  #taskId: string | undefined;
  #tasks: readonly Task[] = [];
  #next: string | undefined;

  constructor() {
    this.#history = new HistoryView({
      open: (task) => void this.#attempt((signal) => this.#open(task, signal)),
      remove: (task) => void this.#remove(task.task_id),
      removeAll: () => void this.#remove(undefined),
      more: () => void this.#readHistory(this.#next),
    });
    find("#analysis-choose", HTMLButtonElement).addEventListener("click", () => this.#file.click());
    this.#file.addEventListener("change", () => {
      const [file] = this.#file.files ?? [];
      this.#file.value = "";
      if (file) this.take(file, file.name);
    });
    find("#analysis-cancel", HTMLButtonElement).addEventListener("click", () => this.#cancel());
    this.#record.hidden = !canRecord();
    this.#record.addEventListener("click", () => void this.#toggleRecording());
    document.addEventListener("drop", ({ dataTransfer }) => {
      const [file] = this.#main.hidden ? [] : (dataTransfer?.files ?? []);
      if (file) this.take(file, file.name);
    });
    addEventListener("pagehide", () => this.#recording?.cancel());
  }

  /** The user came here. */
  show(): void {
    void this.#readHistory(undefined);
  }

  /** The user went away: what sounds falls silent, an analysis goes on. */
  leave(): void {
    this.#result.pause();
  }

  /** Analyses a file. What ran before is cancelled. */
  take(file: Blob, name: string): void {
    void this.#attempt(async (signal) => {
      this.#result.hide();
      this.#tell(t.sending(""), undefined);
      const task = await upload(
        { file, name },
        (sent) => this.#tell(t.sending(share(sent)), sent),
        signal,
      );
      await this.#finish(task, async () => file, signal);
    });
  }

  async #open(task: Task, signal: AbortSignal): Promise<void> {
    this.#result.hide();
    await this.#finish(task, () => loadFile(task.task_id, signal), signal);
    this.#main.scrollIntoView();
  }

  /** Waits until the task is over, and shows it. */
  async #finish(begun: Task, load: () => Promise<Blob>, signal: AbortSignal): Promise<void> {
    let task = begun;
    if (!isOver(task)) {
      this.#taskId = task.task_id;
      for await (task of follow(task.task_id, signal)) this.#tellProgress(task);
    }
    this.#progress.hidden = true;
    void this.#readHistory(undefined);
    if (task.status === "COMPLETED") void this.#result.show(task, load);
    else throw new Refused(t.gatewaySays(task.message ?? task.status));
  }

  #tellProgress({ status, progress: { done, total } }: Task): void {
    if (status === "PENDING") this.#tell(t.analysisWaits, undefined);
    else this.#tell(t.windowsDone(count(done), count(total)), total > 0 ? done / total : undefined);
  }

  /** Says what happens, and how far it is: a share, or unknown. */
  #tell(message: string, done: number | undefined): void {
    this.#progress.hidden = false;
    find("#analysis-state", HTMLElement).textContent = message;
    const bar = find("#analysis-bar", HTMLProgressElement);
    if (done === undefined) bar.removeAttribute("value");
    else bar.value = done;
  }

  /** Does one thing at a time, and says why it failed. */
  async #attempt(act: (signal: AbortSignal) => Promise<void>): Promise<void> {
    this.#running?.abort();
    const running = new AbortController();
    this.#running = running;
    this.#taskId = undefined;
    this.#trouble.hidden = true;
    try {
      await act(running.signal);
    } catch (error) {
      if (!running.signal.aborted) this.#fail(error);
    } finally {
      if (this.#running === running) {
        this.#running = undefined;
        this.#progress.hidden = true;
      }
    }
  }

  #fail(error: unknown): void {
    this.#trouble.textContent = error instanceof Refused ? error.message : t.unreachable;
    this.#trouble.hidden = false;
  }

  /** A task that the gateway has is deleted with its file. */
  #cancel(): void {
    this.#running?.abort();
    if (this.#taskId !== undefined) void this.#remove(this.#taskId);
  }

  async #remove(id: string | undefined): Promise<void> {
    await remove(id, AbortSignal.timeout(30_000)).catch((error: unknown) => this.#fail(error));
    if (id === undefined) this.#result.hide();
    await this.#readHistory(undefined);
  }

  async #readHistory(before: string | undefined): Promise<void> {
    try {
      const { tasks, next } = await list(AbortSignal.timeout(30_000), before);
      this.#tasks = before === undefined ? tasks : [...this.#tasks, ...tasks];
      this.#next = next;
      this.#history.show(this.#tasks, next !== undefined);
    } catch (error) {
      this.#fail(error);
    }
  }

  async #toggleRecording(): Promise<void> {
    const recording = this.#recording;
    this.#recording = undefined;
    if (!recording) {
      this.#trouble.hidden = true;
      this.#recording = await startRecording().catch(() => undefined);
      if (!this.#recording) this.#fail(new Refused(t.dictationDenied));
    }
    this.#record.textContent = this.#recording ? t.recordingStop : t.record;
    this.#record.setAttribute("aria-pressed", String(this.#recording !== undefined));
    if (!recording) return;
    const { file, name } = await recording.stop();
    this.take(file, name);
  }
}
