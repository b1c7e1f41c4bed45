import type { VisitorObject } from "vite";
import { type Problem, problemAt, type Source, visit } from "./source.ts";

/** Makes a visitor's function that notes a message for the node it is called with. */
export type Report = (message: string) => (node: { readonly start: number }) => void;

/** Visits every node of every file; what `look` reports are the problems, in order. */
export function findNodes(
  sources: readonly Source[],
  look: (report: Report) => VisitorObject,
): readonly Problem[] {
  return sources.flatMap((source) => {
    const problems: Problem[] = [];
    const report: Report = (message) => (node) => {
      problems.push(problemAt(source, node.start, message));
    };
    visit(source, look(report));
    return problems;
  });
}
