import { findTargetProblem } from "./authority.ts";
import { findHeaderProblem } from "./header-size.ts";
import { answerProblem, type Handle, type Problem } from "./request.ts";

const internalProblem: Problem = {
  status: 500,
  code: "internal",
  message: "the request could not be answered",
};

/** What a guard bounds, and whom it tells. */
export type GuardOptions = {
  readonly maxHeaderBytes: number;
  /** Told what the handler threw. */
  readonly onError: (error: unknown) => void;
};

/**
 * Stands before a handler: answers requests whose host, target or header nobody should work on, and
 * answers for the handler if it throws.
 */
export function guard(handle: Handle, options: GuardOptions): Handle {
  return async (request, response) => {
    const problem =
      findHeaderProblem(request, options.maxHeaderBytes) ?? findTargetProblem(request);
    if (problem) {
      answerProblem(response, problem);
      return;
    }
    try {
      await handle(request, response);
    } catch (error) {
      options.onError(error);
      answerProblem(response, internalProblem);
    }
  };
}
